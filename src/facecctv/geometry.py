"""Boxes and five points: overlap, crops, the upright face square, and the way back.

Everything here counts pixels as types/ does: continuous, the centre of the first pixel at
(0.5, 0.5). OpenCV puts that centre at (0, 0); only `warp` knows.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from facecctv.types import Crop, Face, Floats, Image, check_image

TEMPLATE_SIZE = 112

TEMPLATE: Floats = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float32,
)
"""(5, 2) float32: where the landmarks of an upright face lie in a square of 112 pixels.

The points that face recognition has shared since SphereFace and ArcFace (Deng et al. 2019). They
are symmetric about x = 56.0, the middle of 112 continuous pixels, so they hold here as they are.
"""
TEMPLATE.flags.writeable = False

_NMS_BLOCK = 64
_ANTIALIAS_BELOW = 0.75


def _boxes(name: str, boxes: npt.ArrayLike) -> Floats:
    array = np.asarray(boxes, np.float32)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name} has the shape (N, 4), not {array.shape}")
    return array


def iou(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Intersection over union of every box of `a` with every box of `b`.

    (N, 4) and (M, 4) x1 y1 x2 y2 -> (N, M) float32 in 0..1. Boxes without area overlap nothing.
    Raises ValueError for other shapes.
    """
    return _iou(_boxes("a", a), _boxes("b", b))


def _iou(a: Floats, b: Floats) -> Floats:
    width = np.minimum(a[:, None, 2], b[None, :, 2])
    width -= np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3])
    height -= np.maximum(a[:, None, 1], b[None, :, 1])
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    shared = np.multiply(width, height, out=width)
    union = np.subtract((_area(a)[:, None] + _area(b)[None, :]), shared, out=height)
    overlap: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return np.minimum(overlap, 1, out=overlap)


def _area(boxes: Floats) -> Floats:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    area: Floats = sides[:, 0] * sides[:, 1]
    return area


def nms(boxes: npt.ArrayLike, scores: npt.ArrayLike, threshold: float) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: drops each box that a better kept one overlaps too much.

    boxes (N, 4), scores (N,) -> indices of the kept boxes, best first; of equal scores the earlier
    box wins. A box goes when its IoU with a kept box is above `threshold`.
    Raises ValueError for other shapes.
    """
    candidates = _boxes("boxes", boxes)
    ranking = np.asarray(scores, np.float64)
    if ranking.shape != (len(candidates),):
        raise ValueError(f"scores has the shape ({len(candidates)},), not {ranking.shape}")
    waiting = np.argsort(-ranking, kind="stable")
    kept = []
    while waiting.size:
        block, waiting = waiting[:_NMS_BLOCK], waiting[_NMS_BLOCK:]
        block = block[_survivors(candidates[block], threshold)]
        kept.append(block)
        if waiting.size:
            covered = _iou(candidates[block], candidates[waiting]) > threshold
            waiting = waiting[~covered.any(axis=0)]
    return np.concatenate(kept) if kept else np.zeros(0, np.intp)


def _survivors(boxes: Floats, threshold: float) -> npt.NDArray[np.bool_]:
    covers = _iou(boxes, boxes) > threshold
    alive = np.ones(len(boxes), np.bool_)
    for index in range(len(boxes) - 1):
        if alive[index]:
            alive[index + 1 :] &= ~covers[index, index + 1 :]
    return alive


def clip_boxes(boxes: npt.ArrayLike, width: float, height: float) -> Floats:
    """(N, 4) boxes cut off at the edges of a picture; one that lies outside loses its area."""
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(_boxes("boxes", boxes), 0, limits)


def expand_box(box: npt.ArrayLike, margin: float) -> Floats:
    """(4,) box grown on all four sides by `margin` times its width or height; not clipped."""
    array = np.asarray(box, np.float32)
    if array.shape != (4,):
        raise ValueError(f"box has the shape (4,), not {array.shape}")
    grow = (array[2:] - array[:2]) * np.float32(margin)
    return np.concatenate([array[:2] - grow, array[2:] + grow])


def crop(image: Image, face: Face, margin: float = 0.35) -> Crop:
    """Native pixels around a face: every pixel that the grown box touches, cut at the edges.

    A face outside the picture yields the nearest pixel, so a crop always has at least one.
    """
    pixels, x, y = cut_out(image, face.box, margin)
    return Crop(pixels, x, y, face)


def cut_out(image: Image, box: npt.ArrayLike, margin: float = 0.0) -> tuple[Image, int, int]:
    """Native pixels of a box, as in `crop`, with the column and row at which they begin."""
    height, width = check_image(image).shape[:2]
    left, top, right, bottom = (float(side) for side in expand_box(box, margin))
    x1, x2 = _span(left, right, width)
    y1, y2 = _span(top, bottom, height)
    return image[y1:y2, x1:x2].copy(), x1, y1


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    start = min(max(math.floor(low), 0), length - 1)
    return start, min(max(math.ceil(high), start + 1), length)


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> Floats:
    """The turn, scale and shift (no mirroring) that bring points nearest to others.

    (N, 2), (N, 2), N >= 2 -> (2, 3) float32 for `transform_points`. Least squares after Umeyama,
    "Least-squares estimation of transformation parameters between two point patterns" (1991); in
    the plane a turn with scale is one complex factor, so no decomposition is needed.
    Raises ValueError if shapes differ, values are not finite, or no such transform is determined
    (all points of one set coincide).
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or len(a) < 2:
        raise ValueError(f"both point sets have the shape (N, 2), N >= 2: {a.shape}, {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("points must be finite")
    a_mean, b_mean = a.mean(axis=0), b.mean(axis=0)
    p, q = (a - a_mean) @ [1, 1j], (b - b_mean) @ [1, 1j]
    spread = float(np.vdot(p, p).real)
    factor = complex(np.vdot(p, q)) / spread if spread > 0 else 0j
    # Below this the turn is made of rounding errors alone.
    noise = 1e-6 * math.sqrt(float(np.vdot(q, q).real) / spread) if spread > 0 else 0.0
    reach = 1e-6 * float(np.abs(a).max())
    if math.sqrt(spread) <= reach or abs(factor) <= noise:
        raise ValueError("points coincide or contradict each other: no similarity is determined")
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, b_mean - linear @ a_mean]).astype(np.float32)


def invert(matrix: npt.ArrayLike) -> Floats:
    """The (2, 3) float32 transform that undoes `matrix`; ValueError if it flattens the plane."""
    array = _matrix(matrix)
    determinant = float(array[0, 0] * array[1, 1] - array[0, 1] * array[1, 0])
    if not math.isfinite(determinant) or determinant == 0:
        raise ValueError("the transform flattens the plane and cannot be undone")
    linear = np.linalg.inv(array[:, :2])
    return np.column_stack([linear, -linear @ array[:, 2]]).astype(np.float32)


def _matrix(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(matrix, np.float64)
    if array.shape != (2, 3):
        raise ValueError(f"a transform has the shape (2, 3), not {array.shape}")
    return array


def transform_points(matrix: npt.ArrayLike, points: npt.ArrayLike) -> Floats:
    """(2, 3) transform, (N, 2) points -> (N, 2) float32."""
    array = _matrix(matrix)
    moved = np.asarray(points, np.float64).reshape(-1, 2) @ array[:, :2].T + array[:, 2]
    return moved.astype(np.float32)


def warp(image: Image, matrix: npt.ArrayLike, width: int, height: int) -> Image:
    """The picture seen through a (2, 3) transform from its pixels to those of the result.

    (H, W, 3) uint8 -> (height, width, 3) uint8. Cubic interpolation; what shrinks is averaged
    first so that it does not alias; beyond the edge the outermost pixels repeat. Reads only the
    part of the picture that is seen, so its cost does not grow with the picture.
    Raises ValueError if the transform flattens the plane.
    """
    forward = _matrix(matrix)
    scale = math.sqrt(abs(float(np.linalg.det(forward[:, :2]))))
    seen = transform_points(invert(forward), [[0, 0], [width, 0], [width, height], [0, height]])
    border = 3 * max(1.0, 1 / scale)
    x1, x2 = _span(*_reach(seen[:, 0], border), image.shape[1])
    y1, y2 = _span(*_reach(seen[:, 1], border), image.shape[0])
    part = image[y1:y2, x1:x2]
    step = np.ones(2)
    if scale < _ANTIALIAS_BELOW:
        size = (max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale)))
        step = np.array([(x2 - x1) / size[0], (y2 - y1) / size[1]])
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    linear = forward[:, :2] * step
    shift = forward[:, 2] + forward[:, :2] @ np.array([x1, y1])
    centred = np.column_stack([linear, shift + linear @ np.array([0.5, 0.5]) - 0.5])
    warped = cv2.warpAffine(
        np.ascontiguousarray(part),
        centred,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.uint8)


def _reach(values: Floats, border: float) -> tuple[float, float]:
    return float(values.min()) - border, float(values.max()) + border


def alignment(landmarks: npt.ArrayLike, size: int = TEMPLATE_SIZE) -> Floats:
    """(5, 2) landmarks in a picture -> (2, 3) float32 transform to the upright square of `size`.

    Raises ValueError if the landmarks coincide.
    """
    return similarity(landmarks, TEMPLATE * np.float32(size / TEMPLATE_SIZE))


def align(image: Image, landmarks: npt.ArrayLike, size: int = TEMPLATE_SIZE) -> Image:
    """The face upright in a square, as recognition wants it: (size, size, 3) uint8 RGB.

    Landmarks (5, 2) in pixels of the picture. Raises ValueError if they coincide.
    """
    return warp(check_image(image), alignment(landmarks, size), size, size)


def paste_back(image: Image, patch: Image, matrix: npt.ArrayLike, feather: float = 0.1) -> Image:
    """A copy of the picture with an aligned (and perhaps enlarged) patch laid back over it.

    `matrix` is the (2, 3) transform from the picture to the patch, as `alignment` gives it; for a
    patch enlarged k times multiply it by k. Over `feather` times the shorter side of the patch
    (0..0.5) the patch fades in from its edge; 0 cuts hard. Pixels outside the patch stay the same.
    Raises ValueError if the transform flattens the plane or feather is out of range.
    """
    if not 0 <= feather <= 0.5:
        raise ValueError(f"feather must be in 0..0.5, not {feather}")
    back = invert(matrix)
    height, width = check_image(image).shape[:2]
    rows, columns = check_image(patch).shape[:2]
    result = image.copy()
    corners = [[0, 0], [columns, 0], [columns, rows], [0, rows]]
    covered = transform_points(back, corners)
    x1, y1 = np.clip(np.floor(covered.min(axis=0)), 0, (width, height)).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(covered.max(axis=0)), 0, (width, height)).astype(int).tolist()
    if x2 <= x1 or y2 <= y1:
        return result
    shifted = back - np.array([[0, 0, x1], [0, 0, y1]], np.float32)
    laid = warp(patch, shifted, x2 - x1, y2 - y1).astype(np.float32)
    weight = _fade(_matrix(matrix), (x1, y1, x2, y2), columns, rows, feather)[..., None]
    under = result[y1:y2, x1:x2]
    under[:] = np.rint(under + weight * (laid - under))
    return result


def _fade(
    matrix: npt.NDArray[np.float64],
    area: tuple[int, int, int, int],
    columns: int,
    rows: int,
    feather: float,
) -> Floats:
    """How much of the patch shows at each picture pixel of the area: (h, w) float32, 0..1."""
    x1, y1, x2, y2 = area
    x, y = np.meshgrid(np.arange(x1, x2) + 0.5, np.arange(y1, y2) + 0.5)
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = np.minimum(np.minimum(u, columns - u), np.minimum(v, rows - v))
    if feather == 0:
        hard: Floats = (inside >= 0).astype(np.float32)
        return hard
    ramp = np.clip(inside / (feather * min(columns, rows)), 0, 1)
    smooth: Floats = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    return smooth
