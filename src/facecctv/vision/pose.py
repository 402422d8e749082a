"""Which way a head is turned, from five points."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facecctv.types import Pose

MODEL: npt.NDArray[np.float64] = np.array(
    [
        [-0.500, 0.000, 0.00],
        [0.500, 0.000, 0.00],
        [0.000, 0.588, -0.43],
        [-0.437, 0.988, 0.00],
        [0.437, 0.988, 0.00],
    ]
)
"""(5, 3) the mean face: x right, y down, z away from the viewer; unit: the inter-eye distance.

The median of 1,025 marked faces seen from the front, made symmetric; the nose's depth is from
how far it moves sideways as 2,112 turned faces grow narrow. Pitch 0 is the pitch of that median.
"""
MODEL.flags.writeable = False
_TO_CAMERA = np.linalg.pinv(MODEL - MODEL.mean(axis=0)).T


def estimate_pose(landmarks: npt.ArrayLike) -> Pose:
    """Yaw, pitch and roll of a face, degrees; signs as in `types.Pose`.

    (5, 2) landmarks in pixels. Closed form under weak perspective (a far camera): the affine camera
    that maps `MODEL` to the points by least squares, then the nearest scaled rotation (polar
    factor). The rotation is split as lean after turn after nod, so that roll is the slope of the
    eye line as seen. Points that coincide tell nothing and give 0, 0, 0.
    Raises ValueError for another shape.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2):
        raise ValueError(f"landmarks has the shape (5, 2), not {points.shape}")
    centred = points - points.mean(axis=0)
    if not np.abs(centred).max() > 1e-6 * max(1.0, float(np.abs(points).max())):
        return Pose(yaw=0.0, pitch=0.0, roll=0.0)
    u, _, vt = np.linalg.svd(centred.T @ _TO_CAMERA, full_matrices=False)
    right, down = u @ vt
    away = np.cross(right, down)
    return Pose(
        yaw=math.degrees(math.asin(float(np.clip(away[0], -1, 1)))),
        pitch=math.degrees(math.atan2(-away[1], away[2])),
        roll=math.degrees(math.atan2(down[0], right[0])),
    )
