"""One of every document that can be made from a source: each kind in each state that it may have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tbsnode.dicom import encapsulated_pdf, measurement_report, overlay, rejection
from tbsnode.model import DerivedInstance, Reference, RejectionReason, Report, Reviewer
from tbsnode.reasons import Code, Finding
from tbsnode.report import pdf
from tests import reported, sources

RGB = np.repeat((sources.ramp() // 16).astype(np.uint8)[..., None], 3, axis=2)
CYRILLIC = Reviewer(login="jdoe", name="Щербаков^Пётр", organization="Клиника")
JAPANESE = Reviewer(login="tyamada", name="Yamada^Tarou=山田^太郎=やまだ^たろう", organization="病院")


def reference(derived: DerivedInstance) -> Reference:
    """Return a reference to a finished instance."""
    return Reference(
        sop_class_uid=derived.sop_class_uid,
        sop_instance_uid=derived.sop_instance_uid,
        series_instance_uid=derived.series_instance_uid,
        study_instance_uid=derived.study_instance_uid,
    )


def states(source: Path) -> dict[str, Report]:
    """Return a report in every state, by name; digests differ."""
    levels = (
        reported.vertebra(0),
        reported.vertebra(1),
        reported.vertebra(2, score=None, included=False, excluded=Finding(Code.NO_LEVEL_SCORE, "L3")),
        reported.vertebra(3, score=None, region=(), included=False, excluded=Finding(Code.LEVEL_CUT, "L4")),
    )
    scored, maximal, refused = (
        make(source) for make in (reported.scored, reported.maximal, reported.refused)
    )
    corrected = reported.CORRECTED
    made: dict[str, dict[str, Any]] = {
        "preliminary": {"analysis": scored},
        "failed-levels": {"analysis": reported.scored(source, vertebrae=levels)},
        "calibrated": {"analysis": maximal, "simulated": True, "interpretation": "TBS 1.310 ± 0.031."},
        "borderline": {
            "analysis": reported.maximal(
                source, category=None, borderline=("normal", "partially_degraded"), frax=None
            )
        },
        "refused": {"analysis": refused},
        "signed": {"analysis": maximal, "review": reported.review()},
        "signed-uncalibrated": {"analysis": scored, "review": reported.review()},
        "signed-cyrillic": {"analysis": maximal, "review": reported.review(reviewer=CYRILLIC)},
        "signed-japanese": {"analysis": maximal, "review": reported.review(reviewer=JAPANESE)},
        "amended": {"analysis": maximal, "review": reported.AMENDED, "interpretation": "One paragraph."},
        "refused-signed": {"analysis": refused, "review": replace(corrected, comment="", image_uid="")},
    }
    return {
        name: reported.report(values.pop("analysis"), result_digest=f"{number:064x}", **values)
        for number, (name, values) in enumerate(made.items())
    }


def every(source: Path) -> dict[str, DerivedInstance]:
    """Return every document, by a name that begins with its kind."""
    found = states(source)
    made = {f"sr-{name}": measurement_report.build(report, source) for name, report in found.items()}
    for name in ("comprehensive", "enhanced"):
        made[f"sr-{name}"] = measurement_report.build(found["amended"], source, sr_class=name)
    before = reference(made["sr-calibrated"])
    made["sr-successor"] = measurement_report.build(found["signed"], source, predecessor=before)
    for name in ("preliminary", "refused", "signed", "amended"):
        pages = pdf.render(found[name], None)
        made[f"pdf-{name}"] = encapsulated_pdf.build(found[name], pages, source)
    made["pdf-successor"] = encapsulated_pdf.build(
        found["signed"],
        pdf.render(found["signed"], None),
        source,
        predecessor=reference(made["pdf-preliminary"]),
    )
    made["overlay"] = overlay.build(found["preliminary"], RGB, source)
    withdrawn = tuple(reference(made[name]) for name in ("sr-signed", "pdf-signed", "overlay"))
    for number, reason in enumerate(RejectionReason):
        made[f"rejection-{reason}"] = rejection.build(
            withdrawn, reported.rejected(reason), reported.MADE, source, digest=f"{100 + number:064x}"
        )
    made["rejection-japanese"] = rejection.build(
        withdrawn[:2],
        reported.rejected(RejectionReason.QUALITY, reviewer=JAPANESE),
        reported.MADE,
        source,
        digest=f"{110:064x}",
    )
    return made
