"""All that one result set states: the single source of SR, PDF and overlay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tbsnode.model.analysis import Analysis
from tbsnode.model.network import Reference
from tbsnode.model.review import Review


class ReportStatus(StrEnum):
    """How far a report may be relied on."""

    PRELIMINARY = "preliminary"
    SIGNED = "signed"
    AMENDED = "amended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made a result, with what, and when it was committed.

    Attributes
    ----------
    version : str
        Software version of tbsnode.
    device_uid : str
        Device Observer UID, stable for an installation.
    station : str
        AE title of the node.
    serial_number : str
        Identifier of this installation.
    content_at : datetime
        Aware; the time committed with the generation or the review, so that a rerun makes the same
        bytes.
    institution : str
        The site's name; empty where not configured.
    """

    version: str
    device_uid: str
    station: str
    serial_number: str
    content_at: datetime
    institution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodingAdvice:
    """Which procedure code fits what was actually done, or why none does. Codes only, no descriptors.

    Attributes
    ----------
    codes : tuple of str
        Empty where none fits.
    why : str
        The reason, in one sentence.
    """

    codes: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one result set states: the single source of SR, PDF and overlay.

    Attributes
    ----------
    analysis : Analysis
        The reported image's result (scored or refused).
    source : Reference
        The reported image.
    others : tuple of Analysis
        Further spines of the study, scored and not reported.
    provenance : Provenance
        Version and time; left out of `content_digest`.
    result_digest : str
        SHA-256 hex of everything stated, version and time included.
    simulated : bool
        True for the demonstration's scanner or a simulated calibration: marked SIMULATED on every page.
    review : Review or None
        Who accepted or corrected it; None before a signature.
    interpretation : str
        The paragraph that interprets the result, as `report.narrative` writes it.
    coding : CodingAdvice or None
        None where the coding aid is off.
    """

    analysis: Analysis
    source: Reference
    others: tuple[Analysis, ...]
    provenance: Provenance
    result_digest: str
    simulated: bool = False
    review: Review | None = None
    interpretation: str = ""
    coding: CodingAdvice | None = None

    @property
    def status(self) -> ReportStatus:
        """PRELIMINARY without a review; AMENDED from the second signature on."""
        if self.review is None:
            return ReportStatus.PRELIMINARY
        return ReportStatus.SIGNED if self.review.version == 1 else ReportStatus.AMENDED
