"""Demo pictures with known faces, composed by code: no picture of a person is kept anywhere.

The only face is that of `skimage.data.astronaut()`, a portrait by NASA in the public domain. It is
cut out and stands, at many sizes, in corridors that are ray-traced here. As every place is known,
the same scene shows a newcomer what the program does and serves tests as ground truth.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image

from facecctv.errors import MissingExtra, OutputError
from facecctv.types import Face, Floats, Image

# Measured on the 512 x 512 portrait, pixels.
ASTRONAUT_BOX = (178.0, 68.0, 273.0, 179.0)
ASTRONAUT_LANDMARKS = ((203.8, 101.0), (246.9, 103.1), (225.9, 127.8), (204.3, 140.1), (243.8, 141))
_MIRRORED = [1, 0, 2, 4, 3]  # landmarks are ordered as seen
_OUTLINE = (
    "20,512 25,420 35,350 50,285 75,245 112,215 115,190 128,160 150,149 178,148 172,133 158,115 "
    "153,90 158,60 175,35 200,20 230,15 262,22 288,45 300,78 301,100 293,116 283,126 274,138 "
    "266,160 262,172 285,190 302,225 303,240 330,255 345,275 358,325 366,344 395,345 430,358 "
    "460,382 484,415 495,455 500,490 500,512"
)
_HELMET, _HELMET_RADIUS = (391, 457), 109  # of the helmet in the hands, which the picture cuts off
_LEGS = (
    ((165, 505), (30, 505), (75, 955), (160, 955)),
    ((160, 505), (330, 505), (275, 955), (190, 955)),
)
_NECK = 182  # row below which everything is clothing
_WAIST, _FEET = 512, 955  # the portrait ends at the waist; legs are painted down to the feet

# A corridor in metres, seen by a camera at its middle that looks along it.
_HALF_WIDTH, _CAMERA_TO_FLOOR, _CAMERA_TO_CEILING, _LENGTH = 1.7, 1.87, 0.9, 14.0
_FACE_HEIGHT = 0.22
_FOCAL_LENGTH = 700.0  # pixels


@dataclass(frozen=True)
class Person:
    """Somebody standing in a corridor with the eyes one face height below the camera."""

    x: float
    """Column of the face's centre, pixels."""
    face_px: float
    """Height of the face, pixels; it fixes the distance."""
    lean: float = 0.0
    """Degrees, clockwise as seen."""
    mirrored: bool = False
    hue: int = 0
    """Of the clothing: added to OpenCV's hue, 0..179."""
    warmth: float = 0.0
    """Share by which red is raised and blue lowered."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A composed picture and where its faces are."""

    image: Image
    faces: tuple[Face, ...]
    """Every face, score 1."""


HALL = (
    Person(x=420, face_px=16, hue=100),
    Person(x=545, face_px=24, mirrored=True, hue=60),
    Person(x=315, face_px=40, lean=4, hue=90, warmth=-0.06),
    Person(x=680, face_px=64, lean=-6, mirrored=True, hue=105, warmth=0.06),
    Person(x=150, face_px=170, lean=5),
)
NIGHT = (Person(x=290, face_px=30, lean=-4), Person(x=120, face_px=84, lean=7, mirrored=True))
NOISY = (Person(x=150, face_px=48, lean=-8, hue=80), Person(x=320, face_px=20, mirrored=True))


def demo_scene(seed: int = 0) -> Scene:
    """The picture of a recorder that shows three cameras: 1280 x 720, nine faces of 16 to 170 px.

    Left a hall by day; right above one by night (grey, dim, noisy); right below a noisy one. Block
    compression lies over all. The same seed gives the same pixels. Raises MissingExtra without
    scikit-image.
    """
    rng = np.random.default_rng(seed)
    hall = corridor((860, 720), HALL, rng)
    night = corridor((420, 360), NIGHT, rng)
    noisy = corridor((420, 360), NOISY, rng)
    right = np.vstack([at_night(night.image, rng), with_noise(noisy.image, rng)])
    image = np.hstack([hall.image, right])
    image[:, 858:862] = image[358:362, 860:] = 12
    faces = [*hall.faces, *_moved(night.faces, 860, 0), *_moved(noisy.faces, 860, 360)]
    return Scene(compressed(image, quality=70), tuple(faces))


def demo_scenes(seed: int = 0) -> dict[str, Scene]:
    """The recorder of `demo_scene`, and its hall by day, by night and through a noisy camera.

    The same seed gives the same pixels. Raises MissingExtra without scikit-image.
    """
    rng = np.random.default_rng(seed)
    hall = corridor((860, 720), HALL, rng)
    return {
        "recorder": demo_scene(seed),
        "hall": hall,
        "night": Scene(at_night(hall.image, rng), hall.faces),
        "noisy": Scene(with_noise(hall.image, rng), hall.faces),
    }


def write_demo(folder: Path, seed: int = 0) -> list[Path]:
    """Writes recorder.jpg (`demo_scene`), hall.png, night.png and noisy.jpg; returns the paths.

    Makes the folder where needed; files of these names are replaced. Raises MissingExtra without
    scikit-image and OutputError where nothing can be written.
    """
    suffixes = {"recorder": "jpg", "hall": "png", "night": "png", "noisy": "jpg"}
    pictures = {f"{name}.{suffixes[name]}": s.image for name, s in demo_scenes(seed).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in pictures.items():
            PIL.Image.fromarray(image).save(folder / name, quality=88)
    except OSError as error:
        raise OutputError(f"cannot write the demo to {folder}: {error.strerror}") from error
    return [folder / name for name in pictures]


def practice_scenes(count: int, seed: int = 0) -> list[Scene]:
    """Corridors of 320 x 240 with one person, every fourth empty: something to learn from.

    Faces are 36 to 110 px high. Raises MissingExtra without scikit-image.
    """
    scenes = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        person = Person(
            x=float(rng.uniform(60, 260)),
            face_px=float(rng.uniform(36, 110)),
            lean=float(rng.uniform(-8, 8)),
            mirrored=bool(rng.random() < 0.5),
            hue=int(rng.integers(180)),
            warmth=float(rng.uniform(-0.08, 0.08)),
        )
        scenes.append(corridor((320, 240), () if number % 4 == 3 else (person,), rng))
    return scenes


def corridor(size: tuple[int, int], people: Sequence[Person], rng: np.random.Generator) -> Scene:
    """A lit corridor of `size` (width, height) pixels with people in it, by day and clean."""
    width, height = size
    vanishing = (0.5 * width, 0.21 * height)
    canvas = _empty_corridor(size, vanishing, rng)
    figure = _figure()
    far_to_near = sorted(people, key=lambda person: person.face_px)
    faces = [_stand(canvas, figure, person, vanishing) for person in far_to_near]
    grain = rng.normal(0.0, 1.5, canvas.shape)
    return Scene(np.clip(canvas + grain, 0, 255).astype(np.uint8), tuple(faces))


def at_night(image: Image, rng: np.random.Generator) -> Image:
    """As under infra-red light: grey, low in contrast, dim towards the edges, noisy, soft."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 0.7)
    lit = 28 + 0.5 * grey * (1.0 - 0.35 * (x**2 + y**2) / 2)
    noise = cv2.GaussianBlur(np.asarray(rng.normal(0.0, 11.0, grey.shape)), (0, 0), 0.6)
    night = np.clip(lit + noise, 0, 255).astype(np.uint8)
    return np.repeat(night[..., None], 3, axis=2)


def with_noise(image: Image, rng: np.random.Generator, sigma: float = 18.0) -> Image:
    """With sensor noise of `sigma` grey levels, each colour for itself."""
    return np.clip(image + rng.normal(0.0, sigma, image.shape), 0, 255).astype(np.uint8)


def compressed(image: Image, quality: int) -> Image:
    """After one pass through JPEG of this quality (1..95)."""
    stream = io.BytesIO()
    PIL.Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.array(PIL.Image.open(stream))


def _empty_corridor(
    size: tuple[int, int], vanishing: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """(H, W, 3) float32 RGB 0..255: one ray per pixel to the nearest of five planes."""
    over = 2  # rays per pixel and axis, against jagged edges
    width, height = size
    x = (np.arange(width * over) + 0.5) / over - vanishing[0]
    y = (np.arange(height * over) + 0.5)[:, None] / over - vanishing[1]
    across, up = np.maximum(np.abs(x), 1e-3), np.where(np.abs(y) < 1e-3, 1e-3, y)
    to_wall = _FOCAL_LENGTH * _HALF_WIDTH / across + 0 * y
    to_level = _FOCAL_LENGTH * np.where(up > 0, _CAMERA_TO_FLOOR / up, -_CAMERA_TO_CEILING / up)
    depth = np.minimum(np.minimum(to_wall, to_level + 0 * x), _LENGTH)
    side, down = x * depth / _FOCAL_LENGTH, y * depth / _FOCAL_LENGTH

    end = depth >= _LENGTH
    wall = (to_wall < to_level) & ~end
    floor, ceiling = ~wall & ~end & (y > 0), ~wall & ~end & (y < 0)
    colour = np.empty((*depth.shape, 3))
    colour[:] = (186, 184, 174)
    colour[wall & (x < 0)] *= 0.93
    colour[wall & (down > 0.95)] = (120, 134, 138)
    colour[wall & (np.abs(down - 0.95) < 0.04)] = (92, 90, 84)
    door = np.mod(depth + np.where(x < 0, 0.0, 1.7), 3.4) < 0.95
    colour[wall & door & (down > -0.3)] = (112, 84, 60)
    tiles = (np.floor(side / 0.6) + np.floor(depth / 0.6)) % 2
    colour[floor] = (128, 124, 118)
    colour[floor & (tiles > 0)] = (114, 111, 107)
    colour[ceiling] = (206, 206, 202)
    lamp = ceiling & (np.abs(side) < 0.3) & (np.mod(depth, 2.4) < 1.2)
    colour[end & (np.abs(side) < 0.9) & (down > -0.35)] = (86, 98, 108)

    light = 0.62 + 0.38 * np.exp(-depth / 9.0) + 0.06 * np.cos(2 * np.pi * depth / 2.4)
    stains = cv2.resize(
        rng.normal(1.0, 0.03, (9, 12)), depth.shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    colour *= (light * stains)[..., None]
    colour[lamp] = 250
    small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _portrait() -> Image:
    try:
        from skimage.data import astronaut
    except ImportError as error:
        raise MissingExtra("the demo needs scikit-image: pip install 'facecctv[demo]'") from error
    return np.asarray(astronaut(), np.uint8)


def _figure() -> Floats:
    """(rows, 512, 4) float32: RGB 0..255 and opacity 0..1 of the person from hair to feet."""
    body = np.zeros((_FEET + 12, 512, 4), np.float32)
    body[:_WAIST, :, :3] = _portrait()
    mask = np.zeros(body.shape[:2], np.uint8)
    outline = [[int(n) for n in point.split(",")] for point in _OUTLINE.split()]
    cv2.fillPoly(mask, [np.array(outline)], 255)
    for leg in _LEGS:
        cv2.fillPoly(mask, [np.array(leg)], 255)
    cv2.circle(mask, _HELMET, _HELMET_RADIUS, 255, -1)
    folds = 1.0 - 0.35 * np.cos(np.arange(512) / 512 * 14.0) ** 2
    body[_WAIST:, :, :3] = np.array([176, 74, 48]) * folds[:, None]
    body[_FEET - 45 :, :, :3] = 35
    lower_half = body[_WAIST:, :, :3].copy()
    cv2.circle(lower_half, (_HELMET[0], _HELMET[1] - _WAIST), _HELMET_RADIUS, (16, 16, 18), -1)
    body[_WAIST:, :, :3] = lower_half
    body[..., 3] = cv2.GaussianBlur(cv2.erode(mask, np.ones((7, 7))), (0, 0), 1.8) / 255.0
    return body


def _dressed(figure: Floats, person: Person) -> Floats:
    """The figure in clothes of another hue, in warmer or colder light, perhaps mirrored."""
    figure = figure.copy()
    clothes = figure[_NECK:, :, :3].astype(np.uint8)
    hsv = cv2.cvtColor(clothes, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + person.hue) % 180
    figure[_NECK:, :, :3] = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    figure[..., :3] *= (1.0 + person.warmth, 1.0, 1.0 - person.warmth)
    return figure[:, ::-1] if person.mirrored else figure


def _stand(canvas: Floats, figure: Floats, person: Person, vanishing: tuple[float, float]) -> Face:
    """Draws one person into the canvas and says where the face is."""
    x1, y1, x2, y2 = ASTRONAUT_BOX
    landmarks = np.array(ASTRONAUT_LANDMARKS)
    if person.mirrored:
        x1, x2 = 512 - x2, 512 - x1
        landmarks = (landmarks * (-1, 1) + (512, 0))[_MIRRORED]
    scale = person.face_px / (y2 - y1)
    middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    place = np.array([person.x, vanishing[1] + person.face_px])
    angle = np.deg2rad(person.lean)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    rows, columns = figure.shape[:2]
    small = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    resized = cv2.resize(_dressed(figure, person), small, interpolation=cv2.INTER_AREA)
    exact = np.diag([columns * scale / small[0], rows * scale / small[1]])
    linear = turn @ exact
    # OpenCV counts from pixel centres, everything else here from the picture's corner.
    offset = place - turn @ (middle * scale) + linear @ (0.5, 0.5) - 0.5
    depth = _FOCAL_LENGTH * _FACE_HEIGHT / person.face_px
    feet = vanishing[1] + _FOCAL_LENGTH * _CAMERA_TO_FLOOR / depth
    _shade(canvas, person.x, feet, person.face_px)  # at the feet
    place_of = np.column_stack([linear, offset])
    whole = cv2.warpAffine(resized, place_of, canvas.shape[1::-1])
    left, top, right, bottom = _spanned(place_of, small, canvas.shape[1::-1])
    part, drawn = canvas[top:bottom, left:right], whole[top:bottom, left:right]
    opacity = drawn[..., 3:]
    light = np.float32(0.72 + 0.28 * np.exp(-depth / 9.0))
    part[:] = part * (1.0 - opacity) + drawn[..., :3] * opacity * light

    half = np.array([x2 - x1, y2 - y1]) * scale / 2
    box = np.concatenate([place - half, place + half])
    return Face(box, (landmarks - middle) * scale @ turn.T + place, 1.0)


def _shade(canvas: Floats, x: float, y: float, size: float) -> None:
    """Darkens the floor around a place; beyond four times its spread a shadow is none at all."""
    wide, high = 2.2 * size, 0.6 * size
    height, width = canvas.shape[:2]
    left, right = (int(np.clip(x + side * 4.2 * wide, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip(y + side * 4.2 * high, 0, height)) for side in (-1, 1))
    rows, columns = np.mgrid[top:bottom, left:right]
    away = ((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2
    canvas[top:bottom, left:right] *= (1.0 - 0.45 * np.exp(-away))[..., None].astype(np.float32)


def _spanned(
    matrix: npt.NDArray[np.float64], size: tuple[int, int], limit: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Columns and rows that a picture of this size is drawn to by a (2, 3) matrix, and more."""
    corners = np.array([[x, y, 1] for x in (0, size[0]) for y in (0, size[1])]) @ matrix.T
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, limit).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 3, 0, limit).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _moved(faces: Sequence[Face], x: int, y: int) -> list[Face]:
    shift = np.array([x, y])
    return [Face(f.box + np.tile(shift, 2), f.landmarks + shift, f.score) for f in faces]
