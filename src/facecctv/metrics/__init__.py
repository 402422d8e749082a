"""Measures of how good results are, in numpy alone.

Where there is nothing to measure (no positives, no pictures), the value is NaN, never 0 or 1.
"""

from __future__ import annotations

from facecctv.metrics.assignment import assign
from facecctv.metrics.detection import (
    BODY_HEIGHT_BANDS,
    HEIGHT_BANDS,
    SMALLEST,
    Band,
    Detections,
    Heights,
    Interpolation,
    Matches,
    OperatingPoint,
    PrecisionRecall,
    Truth,
    at_false_positives,
    average_precision,
    by_height,
    landmark_error,
    match,
    precision_recall,
)
from facecctv.metrics.pictures import ciede2000, colourfulness, psnr, ssim
from facecctv.metrics.scores import (
    Calibration,
    FoldAccuracy,
    Roc,
    accuracy_by_folds,
    calibration,
    eer,
    normal_deviate,
    roc,
    share_interval,
    tar_at_far,
)
from facecctv.metrics.tracking import Named, Tracking, tracking

__all__ = [
    "BODY_HEIGHT_BANDS",
    "HEIGHT_BANDS",
    "SMALLEST",
    "Band",
    "Calibration",
    "Detections",
    "FoldAccuracy",
    "Heights",
    "Interpolation",
    "Matches",
    "Named",
    "OperatingPoint",
    "PrecisionRecall",
    "Roc",
    "Tracking",
    "Truth",
    "accuracy_by_folds",
    "assign",
    "at_false_positives",
    "average_precision",
    "by_height",
    "calibration",
    "ciede2000",
    "colourfulness",
    "eer",
    "landmark_error",
    "match",
    "normal_deviate",
    "precision_recall",
    "psnr",
    "roc",
    "share_interval",
    "ssim",
    "tar_at_far",
    "tracking",
]
