"""The number: arrays in, numbers with their conditions out.

For a researcher's notebook, ``from tbsnode import tbs`` exposes the documented functions:

- ``tbs.measure(tbs.Picture(pixels=..., pixel_spacing_mm=(0.6, 0.6)))`` finds L1-L4 and scores them;
- ``tbs.scanned_field``, ``tbs.segment``, ``tbs.label`` are its steps;
- ``tbs.experimental_variogram``, ``tbs.texture_slope``, ``tbs.score_region`` take any region.

Names load their module when first used, so that importing the parameters alone stays light.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Parameters": "parameters",
    "Picture": "spine",
    "SpineMeasurement": "result",
    "Vertebra": "result",
    "experimental_variogram": "variogram",
    "label": "labeling",
    "measure": "spine",
    "patient_findings": "quality",
    "scanned_field": "field",
    "score_region": "score",
    "segment": "segmentation",
    "texture_slope": "score",
    "unweighted_slope": "score",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
