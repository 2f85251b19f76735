"""Pictures that say whose they are: a galaxy with a row of lamps below it, which spell a visitor and a turn."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIDE_PX, LAMP_PX, STEP_PX, TOP_PX, LEFT_PX = 128, 4, 6, 112, 16
N_BITS = 8  # of the visitor, and as many of the turn
LIT, SKY, NOISE = 210.0, 40.0, 10.0
THRESHOLD = 125.0


def picture(visitor: int, turn: int) -> bytes:
    """A noisy galaxy as PNG, 8-bit colour; no two visitors or turns have the same pixels.

    Examples
    --------
    >>> read_mark(picture(13, 200))
    (13, 200)
    """
    rng = np.random.default_rng([visitor, turn])
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2
    light = 170 * np.exp(-np.hypot(x, y / rng.uniform(0.4, 1)) / rng.uniform(8, 16))
    for k, bit in enumerate(_bits(visitor) + _bits(turn)):
        left = LEFT_PX + STEP_PX * k
        light[TOP_PX : TOP_PX + LAMP_PX, left : left + LAMP_PX] = LIT - SKY if bit else 0
    counts = SKY + light[..., None] * [1.0, 0.95, 0.9] + rng.normal(0, NOISE, (SIDE_PX, SIDE_PX, 3))
    buffer = io.BytesIO()
    Image.fromarray(counts.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def read_mark(png: bytes) -> tuple[int, int]:
    """Visitor and turn of a picture, before or after it was denoised."""
    counts = np.asarray(Image.open(io.BytesIO(png)).convert("L"), dtype=float)
    lit = []
    for k in range(2 * N_BITS):
        left = LEFT_PX + STEP_PX * k
        lit.append(counts[TOP_PX : TOP_PX + LAMP_PX, left : left + LAMP_PX].mean() > THRESHOLD)
    return _number(lit[:N_BITS]), _number(lit[N_BITS:])


def _bits(number: int) -> list[int]:
    return [(number >> k) & 1 for k in range(N_BITS)]


def _number(bits: list[bool]) -> int:
    return sum(bool(bit) << k for k, bit in enumerate(bits))
