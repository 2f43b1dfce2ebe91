"""One spine to try things on, as examples and notebooks want it: two words, no file, always the same."""

from __future__ import annotations

from functools import lru_cache

from tbsnode.phantom.scanners import LINEAR_16, ScannedImage, scan
from tbsnode.phantom.spine import Spine, draw


@lru_cache(maxsize=4)
def spine(seed: int = 1) -> ScannedImage:
    """Return an AP spine as a 16-bit scanner stores it: 394 rows of 274 pixels, 0.5 mm each.

    Parameters
    ----------
    seed : int
        Of the individual and of the noise.

    Returns
    -------
    ScannedImage
        With `pixels` and `pixel_spacing_mm`; the pixels are read-only, for the next caller gets the same.

    Examples
    --------
    >>> scanned = spine()
    >>> scanned.pixels.shape, scanned.pixel_spacing_mm
    ((394, 274), (0.5, 0.5))
    """
    scanned = scan(draw(Spine(), seed), LINEAR_16, seed)
    scanned.pixels.setflags(write=False)
    return scanned
