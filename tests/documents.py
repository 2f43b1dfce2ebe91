"""One of every document that can be made from a source: each kind in each state that it may have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import acquisition, encapsulated_pdf, measurement_report, overlay, rejection
from tbsnode.model import DerivedInstance, Reference, RejectionReason, Report, Reviewer
from tbsnode.reasons import Code, Finding
from tbsnode.report import pdf
from tests import reported, sources

RGB = np.repeat((sources.ramp() // 16).astype(np.uint8)[..., None], 3, axis=2)
SCANNED = {"SOPClassUID": sources.SC, "ConversionType": "DI", "ViewPosition": None}
BARE: dict[str, Any] = dict.fromkeys(
    [
        "PixelSpacing",
        "PixelSpacingCalibrationType",
        "PixelSpacingCalibrationDescription",
        "SpecificCharacterSet",
    ]
)
CYRILLIC = Reviewer(login="jdoe", name="Щербаков^Пётр", organization="Клиника")
JAPANESE = Reviewer(login="tyamada", name="Yamada^Tarou=山田^太郎=やまだ^たろう", organization="病院")


def _request() -> Dataset:
    request = Dataset()
    request.RequestedProcedureID, request.RequestedProcedureDescription = "R1", "DXA"
    request.ScheduledProcedureStepID = "S1"
    request.RequestedProcedureCodeSequence = [sources.code("77080", "C4", "DXA")]
    return request


HEADERS: dict[str, dict[str, Any]] = {
    "cr-latin1": {},
    "cr-utf8-ordered": {"SpecificCharacterSet": "ISO_IR 192", "RequestAttributesSequence": [_request()]},
    "cr-japanese": {
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    },
    "cr-cyrillic": {"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Щербаков^Пётр"},
    "sc-latin1": {**SCANNED, "Modality": "BMD", "TimezoneOffsetFromUTC": "+0930"},
    "sc-bare": {**SCANNED, **BARE, "Modality": "OT", "PatientName": "Doe^Jane"},
}
# as the scanners of both kinds write them: an 8-bit CR without spacing, a colored report page
SCANNERS = {"cr-display": "display", "sc-page": "page"}


def source(name: str, folder: Path) -> Path:
    """Write the image of a name of `HEADERS` or `SCANNERS` and return its path."""
    path = folder / "source.dcm"
    if name in HEADERS:
        return sources.write(path, sources.spine(**HEADERS[name]))
    (made,) = acquisition.study(SCANNERS[name], patient=acquisition.PatientTags(), seed=5)
    path.write_bytes(made)
    return path


def scanner_report(image: Path) -> bytes:
    """Return the scanner's own structured report that the hip's densities refer to."""
    ds = sources.spine()
    for keyword in [element.keyword for element in ds if element.tag >= 0x00180000]:
        delattr(ds, keyword)
    was = dcmread(image, stop_before_pixels=True)
    for keyword in ("SpecificCharacterSet", *COPIED):
        if keyword in was:
            ds[keyword] = was[keyword]
        elif keyword in ds:
            delattr(ds, keyword)
    results = reported.HIP_RESULTS
    ds.SOPClassUID, ds.SOPInstanceUID = results.sop_class_uid, results.sop_instance_uid
    ds.SeriesInstanceUID, ds.Modality = results.series_instance_uid, "SR"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [sources.code("126000", "DCM", "Imaging Measurement Report")]
    return sources.encoded(ds)


COPIED = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge",
    "PatientSize", "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID",
    "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


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
