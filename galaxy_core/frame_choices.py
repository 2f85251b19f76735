"""What can be chosen when a frame is searched, without what does the search: commands answer `--help` at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

METHODS = ("segmenter", "sep")
DEFAULT_FALSE_PER_MEGAPIXEL = 10.0
MOST_MAG = 60.0  # no zero point is farther from 0, which is one, too: of fluxes in units of the zeroth magnitude
MASK, MOST_BITS = "mask", 53  # bits of a mask that can be told apart: pixels are read as float64
# Of maps beside frames.
WEIGHT_KINDS = {"weight": "weights", "rms": "standard deviations", "variance": "variances", MASK: "bit masks"}
DEFAULT_SEPARATOR = "star_galaxy"
SUFFIXES = {"fits": ".fits", "votable": ".vot", "csv": ".csv", "parquet": ".parquet", "regions": ".reg"}


@dataclass(frozen=True)
class FrameConfig:
    """How a frame is searched.

    Attributes
    ----------
    method : {"segmenter", "sep"}
    false_per_megapixel : float
        The sensitivity: detections of noise alone that are accepted in a million pixels.
    deblend_contrast : float or None
        Share of light that makes a part of an island an object of its own (sep: of the island's, segmenter: of its
        neighbour's); None: the method's.
    seed : int
        Of the noise that the threshold is set on.
    psf_fwhm_px : float or None
        Seeing that stars are told from galaxies with, in all bands; None: measured on the frame.
    galaxy_share : float or None
        Proportion of galaxies to expect; None: as the model learned it.
    zero_points, weight_kind, saturated_from, mask_bits : or None
        What the frame is to be opened with; see `galaxy_core.frame_bands.open_sky_frame`.
    """

    method: str = "segmenter"
    false_per_megapixel: float = DEFAULT_FALSE_PER_MEGAPIXEL
    deblend_contrast: float | None = None
    seed: int = 0
    psf_fwhm_px: float | None = None
    galaxy_share: float | None = None
    zero_points: tuple[float, ...] | None = None
    weight_kind: str | None = None
    saturated_from: float | None = None
    mask_bits: int | None = None


def bits_of(said: str) -> int | None:
    """Sum of bits that were typed, as numbers; None where none was.

    Examples
    --------
    >>> bits_of("1, 4 4096"), bits_of("5 1"), bits_of(" ")
    (4101, 5, None)

    Raises
    ------
    ValueError
        Not whole numbers from 1 to 9007199254740991.
    """
    bits = 0
    for word in re.split(r"[\s,;]+", said.strip()):
        if word and not (word.isdecimal() and 0 < int(word) < 2**MOST_BITS):
            raise ValueError(f"{word} is no bit of a mask; give whole numbers from 1 to {2**MOST_BITS - 1}.")
        bits |= int(word or 0)
    return bits or None
