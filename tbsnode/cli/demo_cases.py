"""The studies of the demonstration: how each has to end, and what people read about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tbsnode.tbs.calibration import Calibration


@dataclass(frozen=True, slots=True)
class Case:
    """One study of the demonstration, and how it has to end.

    Attributes
    ----------
    kind, title : str
        What its files are called, and what people read.
    status, reason : str
        How the analysis ends; an empty reason: whatever it is.
    reported : bool
        Whether PDF and SR reach the PACS.
    calibrated : bool
        Whether the result has a TBS; it has none unless its scanner got the simulated calibration.
    made_as : str
        What `dicom.acquisition` calls it, where that is not `kind`.
    attributes : tuple of (keyword, value) pairs
        What its header says besides.
    """

    kind: str
    title: str
    status: str
    reason: str = ""
    reported: bool = True
    calibrated: bool = False
    made_as: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


CASES = (
    Case("raw", "AP spine, 16-bit image, calibrated scanner", "scored", calibrated=True),
    Case("display", "AP spine, 8-bit display copy, another scanner", "scored"),
    Case("hip", "hip", "not_applicable", reported=False),
    Case("page", "report page (RGB), its picture cut out", "scored"),
    Case(
        "lossy",
        "AP spine, compressed with loss",
        "refused",
        "LOSSY_COMPRESSION",
        made_as="raw",
        attributes=(("LossyImageCompression", "01"),),
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one study."""

    case: Case
    status: str
    reason: str
    score: float | None
    tbs: float | None
    category: str
    pdf: Path | None
    sr: Path | None

    @property
    def as_expected(self) -> bool:
        """Whether it ended as it has to."""
        case = self.case
        ended = self.status == case.status and self.reason == (case.reason or self.reason)
        valued = (self.tbs is not None) == case.calibrated
        return ended and valued and all((path is not None) == case.reported for path in (self.pdf, self.sr))


def came_back(outcome: Outcome, see: float) -> str:
    """Say what a study gave, in a few words; `see` is the calibration's standard error of estimate."""
    from tbsnode import text

    if outcome.tbs is not None:
        value = text.phrase("tbs_value_see", tbs=f"{outcome.tbs:.3f}", see=f"{see:.3f}")
        known = text.phrase(f"class_{outcome.category}") if outcome.category else "no single texture class"
        return f"SIMULATED {value}, {known}"
    if outcome.score is not None:
        return f"texture slope {outcome.score:.3f}; {text.phrase('tbs_unavailable')}"
    return f"{outcome.status.replace('_', ' ')}: {outcome.reason}"


def report(
    outcomes: list[Outcome], calibration: Calibration, signed: str, folder: Path, seconds: float
) -> None:
    """Print what every study gave, and where it lies."""

    def place(path: Path | None) -> str:
        return "nothing sent" if path is None else str(path)

    for outcome in outcomes:
        mark = "" if outcome.as_expected else "   NOT AS EXPECTED"
        by = f"; signed by {signed}" if outcome.case.calibrated and signed else ""
        typer.echo(f"{outcome.case.title}: {came_back(outcome, calibration.see)}{by}{mark}")
        typer.echo(f"    PDF  {place(outcome.pdf)}\n    SR   {place(outcome.sr)}")
    typer.echo(
        f"Calibration {calibration.calibration_id}: {calibration.pairs} SIMULATED pairs, no patient and no "
        "licensed software behind them."
    )
    good = sum(outcome.as_expected for outcome in outcomes)
    typer.echo(
        f"{good} of {len(outcomes)} studies ended as they have to, in {seconds:.0f} s. "
        f"Everything lies in {folder}; delete it when you have seen it."
    )
