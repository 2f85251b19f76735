"""A star in noise, for tests of stamps and of what is measured on them."""

from __future__ import annotations

import numpy as np

from galaxy_core.simulator.light import make_frame, moffat


def star(fwhm: float = 3.3, flux: float = 4000.0, size: int = 48) -> np.ndarray:
    """A Moffat in noise of 1 on a sky of 100, float32 (1, size, size)."""
    noise = np.random.default_rng(0).normal(100, 1, (size, size))
    return (flux * moffat(make_frame(size, 1.0), fwhm, 3.0, 0.5, 0.5) + noise)[None].astype(np.float32)
