"""Everything that changes the number: unit, default and source of each."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

_CHOICES = {"region": ("bmd", "body"), "region_rule": (1,), "exclusion_policy": ("automatic", "none")}
_LEAST = {"radii": 2, "min_pairs": 1, "native_lags": 1, "min_gray_levels": 1} | {
    "edge_inset_mm": 0.0,
    "body_erosion_mm": 0.0,
}
_POSITIVE = (
    "lag_min_mm", "lag_max_mm", "bandwidth", "variogram_max_mm", "unweighted_lag_min_mm", "min_area_mm2"
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of region and estimator, stored and printed with every result.

    Attributes
    ----------
    lag_min_mm, lag_max_mm : float
        Range of lags of the fit [mm]; 1.05-5.25 mm asks matrices of 0.25 mm and of 1.05 mm the same
        question, and below 1 mm there is mostly noise.
    radii : int
        Radii equally spaced in ln r at which the local fit is evaluated.
    bandwidth : float
        Standard deviation of the Gaussian weight of the local fit [ln mm].
    min_pairs : int
        Fewest pixel pairs for a lag to count.
    variogram_max_mm : float
        Largest lag computed and stored [mm].
    unweighted_lag_min_mm : float
        Smallest lag of the unweighted slope [mm], a secondary value that ends at `lag_max_mm` too.
    native_lags : int
        The native score is the unweighted slope over lags up to this many pixels.
    region : str
        ``"bmd"`` (mid-disc to mid-disc, bone edge) or ``"body"`` (inside the endplates).
    region_rule : int
        Version of the rule that draws the region.
    edge_inset_mm : float
        How far the densitometry region is drawn in [mm].
    body_erosion_mm : float
        Erosion of ``region = "body"`` [mm].
    min_area_mm2 : float
        Smallest scored area of a level [mm2].
    min_gray_levels : int
        Fewest distinct gray levels inside the regions; below, no number.
    exclusion_policy : str
        ``"automatic"``: levels that are cut, metallic or reduced in height are left out; ``"none"``:
        only those that cannot be measured, so that one of reduced height counts.

    Raises
    ------
    ValueError
        Naming the parameter that makes no sense.

    Examples
    --------
    >>> body = Parameters(region="body")
    >>> body.lag_min_mm, body.lag_max_mm, body.as_dict()["region"]
    (1.05, 5.25, 'body')
    """

    lag_min_mm: float = 1.05
    lag_max_mm: float = 5.25
    radii: int = 33
    bandwidth: float = 0.12
    min_pairs: int = 100
    variogram_max_mm: float = 7.0
    unweighted_lag_min_mm: float = 1.0
    native_lags: int = 5
    region: str = "bmd"
    region_rule: int = 1
    edge_inset_mm: float = 1.0
    body_erosion_mm: float = 2.0
    min_area_mm2: float = 300.0
    min_gray_levels: int = 64
    exclusion_policy: str = "automatic"

    def __post_init__(self) -> None:
        """Refuse what would give another number than the one that was asked for."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}")
        for name, least in _LEAST.items():
            if not least <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number of at least {least:g}")
        for name in _POSITIVE:
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number above 0")
        if not self.lag_min_mm < self.lag_max_mm:
            raise ValueError("lag_min_mm must be below lag_max_mm")

    def as_dict(self) -> dict[str, float | int | str]:
        """Return all parameters by name, for JSON, SR and PDF."""
        return asdict(self)
