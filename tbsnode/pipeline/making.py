"""Result to instances: what a report states, its digests, and SR, PDF and overlay made of it.

A derived UID is a function of what the object states, so work that runs twice makes the same
instances.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tbsnode.dicom import encapsulated_pdf, measurement_report, overlay, self_check
from tbsnode.errors import InvalidResult
from tbsnode.model import DerivedInstance, DerivedKind, Provenance, Reference, Report
from tbsnode.reasons import Code
from tbsnode.report import figures, narrative, pdf, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tbsnode.model import Analysis, CodingAdvice, DensitometryImage, Review

SIMULATED_STATION = "SIMULATOR"  # Station Name of the demonstration's scanner


def content_digest(report: Report) -> str:
    """Digest what a result states except version, time and review: equal digests, same result."""
    others = [table.as_json(analysis) for analysis in report.others]
    stated: dict[str, Any] = {
        "analysis": table.as_json(report.analysis),
        "data_set_sha256": report.analysis.data_set_sha256,
        "source": [report.source.sop_class_uid, report.source.sop_instance_uid],
        "study": report.source.study_instance_uid,
        "others": others,
        "simulated": report.simulated,
    }
    for result in (stated["analysis"], *others):
        result.pop("version")
        result.pop("file")
    return _sha256(stated)


def _sha256(value: Any) -> str:
    canonical = json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        default=_plain,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def make_report(
    analysis: Analysis,
    *,
    others: Sequence[Analysis] = (),
    provenance: Provenance,
    review: Review | None = None,
    coding: CodingAdvice | None = None,
) -> Report:
    """Gather what one result set states, with its digest.

    Parameters
    ----------
    analysis : Analysis
        The reported result; its identity is the source.
    others : sequence of Analysis
        Further results of the study.
    provenance : Provenance
        Version, installation and committed time.
    review : Review or None
        Who accepted or corrected it.
    coding : CodingAdvice or None
        Where the coding aid is on.

    Returns
    -------
    Report
        The single source of SR, PDF and overlay.
    """
    identity = analysis.identity
    assert identity is not None, "a result without a header is never reported"
    report = Report(
        analysis=analysis,
        source=Reference(
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            study_instance_uid=identity.study_instance_uid,
        ),
        others=tuple(others),
        provenance=provenance,
        result_digest="",
        simulated=_is_simulated(analysis),
        review=review,
        coding=coding,
    )
    report = replace(report, interpretation=narrative.paragraph(report))
    whole = [
        content_digest(report),
        provenance.version,
        provenance.content_at.isoformat(),
        None if review is None else asdict(review),
        report.interpretation,
        None if coding is None else asdict(coding),
    ]
    return replace(report, result_digest=_sha256(whole))


def _is_simulated(analysis: Analysis) -> bool:
    """Tell whether picture or calibration is a simulation."""
    assert analysis.identity is not None
    if analysis.identity.scanner.station_name == SIMULATED_STATION:
        return True
    return any(finding.code is Code.SIMULATED for finding in analysis.findings)


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """What instances are made from: the report, its picture, and the source file."""

    report: Report
    image: DensitometryImage | None
    source: Path
    page_size: str = "A4"


def make(
    material: Material, kind: DerivedKind, *, sr_class: str = "3d", predecessor: Reference | None = None
) -> DerivedInstance:
    """Make one instance of a report; the same arguments give the same bytes."""
    pixels = None if material.image is None else material.image.pixels
    if kind is DerivedKind.SR:
        return measurement_report.build(
            material.report, material.source, sr_class=sr_class, predecessor=predecessor
        )
    if kind is DerivedKind.PDF:
        return encapsulated_pdf.build(
            material.report,
            pdf.render(material.report, pixels, material.page_size),
            material.source,
            predecessor=predecessor,
        )
    assert pixels is not None, "an overlay needs its picture"
    drawn = figures.overlay_rgb(pixels, material.report.analysis)
    return overlay.build(material.report, drawn, material.source, predecessor=predecessor)


def checked(derived: DerivedInstance) -> DerivedInstance:
    """Return an instance that may be archived and sent.

    Raises
    ------
    InvalidResult
        If it fails the fast check; nothing of it leaves.
    """
    faults = self_check.check(derived)
    if faults:
        raise InvalidResult(
            f"The {derived.kind.value.upper()} failed its own check: {' '.join(faults)}",
            remedy="Please report this with the output of `tbsnode study show UID --json`.",
        )
    return derived
