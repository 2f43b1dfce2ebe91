"""tbsnode: a DICOM node that returns a trabecular texture score for every AP-spine DXA study.

For a notebook: ``from tbsnode import analyze, read_pictures, tbs``. They load what they need when used.
"""

from typing import Any

__version__ = "0.1.0"

_NOTEBOOK = ("analyze", "read_pictures")


def __getattr__(name: str) -> Any:
    if name not in _NOTEBOOK:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("tbsnode.pipeline.notebook"), name)


def __dir__() -> list[str]:
    return sorted((*_NOTEBOOK, "__version__", "tbs"))
