"""The text of rendered pages, each hand-made case rendered once."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import pypdf

from tbsnode.model import FollowUp, PriorExamination, Report
from tbsnode.report.pdf import render
from tests.report_cases import cases
from tests.report_parts import picture


@functools.cache
def made() -> dict[str, tuple[Report, np.ndarray | None]]:
    """Return every case by name."""
    return cases()


def pages(stated: Report, pixels: np.ndarray | str | None = "picture", size: str = "A4") -> list[str]:
    """Return the words of each page; with the hand-made picture unless another or none is given."""
    shown = picture() if isinstance(pixels, str) else pixels
    reader = pypdf.PdfReader(io.BytesIO(render(stated, shown, size)))
    return [" ".join(page.extract_text().split()) for page in reader.pages]


@functools.cache
def both(name: str, size: str = "A4") -> list[str]:
    """Return the words of a case's pages."""
    return pages(*made()[name], size=size)


def second(name: str) -> str:
    """Return the words of a case's second page."""
    return both(name)[1]


def followed(*priors: PriorExamination, **changes: Any) -> FollowUp:
    """Return a course with both least significant changes."""
    return FollowUp(**{"priors": priors, "lsc": 0.045, "tbs_lsc": 0.05, **changes})
