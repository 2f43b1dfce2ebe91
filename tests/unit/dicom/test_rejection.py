"""A rejection: a Key Object that names what is withdrawn, why, and by whom."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import part10, rejection, self_check, sop_classes, uids, variant
from tbsnode.dicom.identity import read_identity
from tbsnode.model import DerivedInstance, DerivedKind, Reference, RejectionReason, ReviewAction
from tests import reported, sources


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "source.dcm", sources.spine())


def made(kind: str, uid: str, series: str) -> Reference:
    return Reference(
        sop_class_uid=kind, sop_instance_uid=uid, series_instance_uid=series, study_instance_uid=sources.STUDY
    )


WITHDRAWN = (
    made(sop_classes.SR_CLASSES["enhanced"], "1.2.1", "1.2.10"),
    made(sop_classes.PDF, "1.2.2", "1.2.20"),
    made(sop_classes.SECONDARY_CAPTURE, "1.2.3", "1.2.30"),
)


def build(
    source: Path,
    reason: RejectionReason = RejectionReason.QUALITY,
    digest: str = "ab" * 32,
    **changes: object,
) -> DerivedInstance:
    review = replace(reported.rejected(reason), **changes)  # type: ignore[arg-type]
    derived = rejection.build(WITHDRAWN, review, reported.MADE, source, digest=digest)
    assert self_check.check(derived) == ()
    return derived


def read(derived: DerivedInstance) -> Dataset:
    return dcmread(BytesIO(derived.part10))


@pytest.mark.parametrize(
    ("reason", "code", "meaning"),
    [
        (RejectionReason.QUALITY, "113001", "Rejected for Quality Reasons"),
        (RejectionReason.SAFETY, "113037", "Rejected for Patient Safety Reasons"),
        (RejectionReason.WORKLIST, "113038", "Incorrect Modality Worklist Entry"),
    ],
)
def test_the_title_is_the_reason(source: Path, reason: RejectionReason, code: str, meaning: str) -> None:
    (title,) = read(build(source, reason)).ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning) == (code, "DCM", meaning)


def test_a_series_of_its_own_in_the_study(source: Path) -> None:
    derived = build(source)
    ds = read(derived)
    assert derived.kind is DerivedKind.REJECTION
    assert derived.sop_class_uid == ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.59"
    assert (ds.Modality, ds.SeriesNumber, ds.InstanceNumber) == ("KO", 9004, 1)
    assert ds.SeriesInstanceUID == uids.series_uid(sources.STUDY, "rejection")
    assert (ds.StudyInstanceUID, str(ds.PatientName)) == (sources.STUDY, "Müller^Jürgen")
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    # the module of key objects knows none of these
    for keyword in ("VerificationFlag", "CompletionFlag", "PreliminaryFlag", "PredecessorDocumentsSequence"):
        assert keyword not in ds


def test_it_names_what_is_withdrawn_in_content_and_evidence(source: Path) -> None:
    ds = read(build(source))
    named = [
        (item.ValueType, item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in ds.ContentSequence
        if "ReferencedSOPSequence" in item
    ]
    assert named == [("COMPOSITE", "1.2.1"), ("COMPOSITE", "1.2.2"), ("IMAGE", "1.2.3")]
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    assert [
        (series.SeriesInstanceUID, series.ReferencedSOPSequence[0].ReferencedSOPClassUID)
        for series in study.ReferencedSeriesSequence
    ] == [(each.series_instance_uid, each.sop_class_uid) for each in WITHDRAWN]


def test_who_and_why(source: Path) -> None:
    ds = read(build(source))
    said = {
        item.ConceptNameCodeSequence[0].CodeValue: item.get("TextValue") or str(item.get("PersonName"))
        for item in ds.ContentSequence
        if item.ValueType in ("TEXT", "PNAME")
    }
    assert said["113012"] == "Wrong vertebrae."
    assert (said["121008"], said["128774"], said["121009"]) == ("Doe^Jane^^Dr", "jdoe", "Bone Clinic")
    assert said["121015"] == "tbsnode"
    observers = [
        item.ConceptCodeSequence[0].CodeValue
        for item in ds.ContentSequence
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == "121005"
    ]
    assert observers == ["121007", "121006"]


def test_without_a_comment_there_is_no_description(source: Path) -> None:
    concepts = [
        item.ConceptNameCodeSequence[0].CodeValue
        for item in read(build(source, comment="")).ContentSequence
        if "ConceptNameCodeSequence" in item
    ]
    assert "113012" not in concepts


def test_an_instance_named_twice_stands_once(source: Path) -> None:
    twice = rejection.build(
        (*WITHDRAWN, WITHDRAWN[0]),
        reported.rejected(RejectionReason.QUALITY),
        reported.MADE,
        source,
        digest="ab" * 32,
    )
    assert twice == build(source)


def test_order(tmp_path: Path) -> None:
    request = Dataset()
    request.RequestedProcedureID, request.AccessionNumber = "R1", "A-88"
    source = sources.write(tmp_path / "s.dcm", sources.spine(RequestAttributesSequence=[request]))
    (found,) = read(build(source)).ReferencedRequestSequence
    assert (found.AccessionNumber, found.RequestedProcedureID) == ("A-88", "R1")


def test_same_rejection_same_bytes(source: Path) -> None:
    first = build(source)
    assert first == build(source)
    assert build(source, digest="cd" * 32).sop_instance_uid != first.sop_instance_uid


def test_a_rejection_says_what_and_why(source: Path) -> None:
    with pytest.raises(ValueError, match="withdrawn, and why"):
        rejection.build((), reported.rejected(RejectionReason.QUALITY), reported.MADE, source, digest="ab")
    accepted = reported.review(ReviewAction.ACCEPT)
    with pytest.raises(ValueError, match="withdrawn, and why"):
        rejection.build(WITHDRAWN, accepted, reported.MADE, source, digest="ab")


def test_recast_is_the_same_document(source: Path, tmp_path: Path) -> None:
    derived = build(source)
    (tmp_path / "archived.dcm").write_bytes(derived.part10)
    recast = variant.recast(
        tmp_path / "archived.dcm",
        kind=derived.kind,
        sop_class_uid=derived.sop_class_uid,
        sop_instance_uid=derived.sop_instance_uid,
        predecessor=None,
    )
    assert recast == derived
    after = variant.recast(
        tmp_path / "archived.dcm",
        kind=derived.kind,
        sop_class_uid=derived.sop_class_uid,
        sop_instance_uid=derived.sop_instance_uid,
        predecessor=WITHDRAWN[0],
    )
    assert "PredecessorDocumentsSequence" not in read(after)


def test_it_is_ours_and_no_scan(source: Path, tmp_path: Path) -> None:
    (tmp_path / "own.dcm").write_bytes(build(source).part10)
    identity = read_identity(tmp_path / "own.dcm")
    assert identity.made_by_tbsnode
    assert not identity.is_image


def test_a_reference_without_evidence_is_found(source: Path) -> None:
    derived = build(source)
    ds = read(derived)
    del ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    damaged = replace(derived, part10=part10.encode(ds, version="0.1.0"))
    assert self_check.check(damaged) == (
        "CurrentRequestedProcedureEvidenceSequence lacks an instance that the content refers to.",
    )
