"""Where a box will be: a Kalman filter of constant velocity, in seconds and pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facecctv.types import Floats

Numbers = npt.NDArray[np.float64]

_POSITION, _SIZE = 0.06, 0.08
"""Standard deviation of what a detector says, in heights of the face."""
_TURN, _GROWTH = 1.5, 0.6
"""Spectral density of the acceleration, its root, in heights of the face."""
_SPEED, _SWELLING = 3.0, 0.5
"""Standard deviation of the velocity of a box that is new, in heights a second."""
_LEAST = 1.0
"""Pixels a side."""


class Motion:
    """Centre, width and height of one box and how fast they change.

    The four are independent of each other, so each has a filter of its own of two numbers (Kalman,
    "A new approach to linear filtering and prediction problems", 1960).
    """

    def __init__(self, box: Floats) -> None:
        measured = _measures(box)
        height = measured[3]
        self.state = np.column_stack([measured, np.zeros(4)])
        """(4, 2): centre x, centre y, width, height in pixels, and each one's change a second."""
        first = _by_kind(_POSITION, _SIZE) * height
        speed = _by_kind(_SPEED, _SWELLING) * height
        self.covariance = np.zeros((4, 2, 2))
        self.covariance[:, 0, 0], self.covariance[:, 1, 1] = first**2, speed**2

    @property
    def box(self) -> Floats:
        """(4,) float32 x1 y1 x2 y2."""
        return self.after(0.0)

    def after(self, seconds: float) -> Floats:
        """(4,) float32 the box so many seconds later; nothing is changed here."""
        x, y, *sides = self.state[:, 0] + seconds * self.state[:, 1]
        width, height = np.maximum(sides, _LEAST) / 2
        return np.array([x - width, y - height, x + width, y + height], np.float32)

    @property
    def speed(self) -> float:
        """Of the centre, pixels a second."""
        return float(np.hypot(*self.state[:2, 1]))

    def predict(self, seconds: float) -> None:
        """Lets time go by."""
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        self.state = self.state @ step.T
        root = _by_kind(_TURN, _GROWTH) * max(float(self.state[3, 0]), _LEAST)
        spread = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        self.covariance = step @ self.covariance @ step.T + (root**2)[:, None, None] * spread

    def correct(self, box: Floats, doubt: float = 1.0) -> None:
        """Takes in what a detector says; `doubt` multiplies its standard deviation."""
        measured = _measures(box)
        noise = (_by_kind(_POSITION, _SIZE) * measured[3] * doubt) ** 2
        gain = self.covariance[:, :, 0] / (self.covariance[:, 0, 0] + noise)[:, None]
        self.state = self.state + gain * (measured - self.state[:, 0])[:, None]
        self.covariance = self.covariance - gain[:, :, None] * self.covariance[:, None, 0, :]


def _measures(box: Floats) -> Numbers:
    x1, y1, x2, y2 = np.asarray(box, np.float64)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])


def _by_kind(position: float, size: float) -> Numbers:
    return np.array([position, position, size, size])
