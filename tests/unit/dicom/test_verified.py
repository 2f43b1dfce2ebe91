"""A signed report is final and verified by a named person, in every class, in SR and PDF."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import encapsulated_pdf, measurement_report, part10, self_check, sop_classes, variant
from tbsnode.model import Change, Corrections, DerivedInstance, Report, Reviewer
from tests import documents, reported, sources
from tests.reading import child, children, coded, document, evaluations, groups, texts, values, walk

PDF = b"%PDF-1.4\nthe pages\n%%EOF\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return sources.write(tmp_path / "source.dcm", sources.spine())


def signed(source: Path, review: Any = None, **changes: Any) -> Report:
    return reported.report(reported.scored(source), review=review or reported.review(), **changes)


def test_final_and_verified_by_a_named_person(source: Path) -> None:
    ds = document(signed(source), source)
    assert (ds.PreliminaryFlag, ds.CompletionFlag, ds.VerificationFlag) == ("FINAL", "COMPLETE", "VERIFIED")
    (observer,) = ds.VerifyingObserverSequence
    assert observer.VerifyingObserverName == "Doe^Jane^^Dr"
    assert observer.VerifyingOrganization == "Bone Clinic"
    assert observer.VerificationDateTime == "20240305103630+0000"
    assert list(observer.VerifyingObserverIdentificationCodeSequence) == []


@pytest.mark.parametrize("place", ["login", "comment", "change"])
def test_what_a_reviewer_writes_is_read_back_in_his_own_letters(source: Path, place: str) -> None:
    """The words that a person chose decide the character set: of the source's letters they may have none."""
    words = "τσιμέντο"
    review = reported.review(
        reviewer=replace(reported.DOE, login=words if place == "login" else "jane"),
        comment=words if place == "comment" else "agreed",
        changes=(Change(what="levels", before="L1", after=words),) if place == "change" else (),
    )
    ds = document(signed(source, review), source)
    told = [str(item.TextValue) for item in walk(ds) if item.get("ValueType") == "TEXT"]
    assert any(words in text for text in told), told


def test_nobody_verifies_what_nobody_signed(source: Path) -> None:
    ds = document(reported.report(reported.scored(source)), source)
    assert (ds.PreliminaryFlag, ds.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert "VerifyingObserverSequence" not in ds
    assert children(ds, "121008") == []
    assert coded(evaluations(ds), "REPORT-STATUS") == ["PRELIMINARY"]
    assert children(evaluations(ds), "REVIEW") == []


@pytest.mark.parametrize(
    ("organization", "institution", "stated"),
    [
        ("Bone Clinic", "City Hospital", "Bone Clinic"),
        ("", "City Hospital", "City Hospital"),
        ("", "", "not stated"),
        ("A\\B" + "c" * 90, "", "A/B" + "c" * 61),
    ],
)
def test_whom_the_reviewer_answers_for(
    source: Path, organization: str, institution: str, stated: str
) -> None:
    who = replace(reported.DOE, organization=organization)
    made = replace(reported.MADE, institution=institution)
    ds = document(signed(source, reported.review(reviewer=who), provenance=made), source)
    assert ds.VerifyingObserverSequence[0].VerifyingOrganization == stated


def test_the_time_of_the_signature_follows_the_source(tmp_path: Path) -> None:
    source = sources.write(tmp_path / "s.dcm", sources.spine(TimezoneOffsetFromUTC="-0330"))
    ds = document(signed(source), source)
    assert ds.VerifyingObserverSequence[0].VerificationDateTime == "20240305070630-0330"
    other = sources.write(tmp_path / "o.dcm", sources.spine())
    at = datetime(2024, 3, 5, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    ds = document(signed(other, reported.review(at=at)), other)
    assert ds.VerifyingObserverSequence[0].VerificationDateTime == "20240305120000+0200"


def test_the_reviewer_is_an_observer_beside_the_device(source: Path) -> None:
    ds = document(signed(source), source)
    context = [item for item in ds.ContentSequence if item.RelationshipType == "HAS OBS CONTEXT"]
    names = [item.ConceptNameCodeSequence[0].CodeValue for item in context]
    assert names == [
        "121005", "121012", "121013", "121014", "121015", "121016",
        "121005", "121008", "128774", "121009", "121011",
    ]  # fmt: skip
    assert coded(ds, "121005") == ["121007", "121006"]
    assert str(child(ds, "121008").PersonName) == "Doe^Jane^^Dr"
    assert child(ds, "128774").TextValue == "jdoe"
    assert child(ds, "121009").TextValue == "Bone Clinic"
    assert coded(ds, "121011") == ["121098"]


def test_what_the_reviewer_did(source: Path) -> None:
    ds = document(signed(source, reported.AMENDED), source)
    said = evaluations(ds)
    assert (coded(said, "REPORT-STATUS"), coded(said, "REVIEW")) == (["AMENDED"], ["REVIEW-CORRECT"])
    assert texts(ds, "REPORT-VERSION") == ["2"]
    assert texts(ds, "REVIEW-HOST") == ["dxa-node"]
    assert texts(ds, "REVIEW-COMMENT") == ["Recalibrated."]
    assert texts(ds, "CORRECTION") == [
        "Other image chosen: 1.2.826.0.1.3680043.10.1.1.2",
        "Every label moved 1 further up",
        "Disc line L3/L4 moved to row 16.5",
        "L4 left out",
    ]
    assert texts(ds, "CHANGE") == ["levels: L1, L2, L3, L4 -> L1, L2, L3", "tbs: 1.320 -> 1.310"]
    assert "CORR_BY_REVIEWER" in coded(groups(ds)["L1-L4"], "QUALITY-FINDING")


def test_labels_moved_down(source: Path) -> None:
    review = reported.review(corrections=Corrections(shift=2))
    assert texts(document(signed(source, review), source), "CORRECTION") == [
        "Every label moved 2 further down"
    ]


def test_an_accepted_report_has_nothing_corrected(source: Path) -> None:
    ds = document(signed(source), source)
    assert coded(evaluations(ds), "REVIEW") == ["REVIEW-ACCEPT"]
    assert texts(ds, "CORRECTION") == texts(ds, "CHANGE") == texts(ds, "REVIEW-COMMENT") == []
    assert "CORR_BY_REVIEWER" not in coded(groups(ds)["L1-L4"], "QUALITY-FINDING")


def test_a_comment_keeps_its_lines(source: Path) -> None:
    assert texts(document(signed(source, reported.CORRECTED), source), "REVIEW-COMMENT") == [
        "Osteophyte at L4.\nDisc below L3 was drawn too low."
    ]


def test_the_interpretation_is_the_conclusion(source: Path) -> None:
    ds = document(signed(source, interpretation="TBS 1.310 ± 0.031."), source)
    assert texts(ds, "121077") == ["TBS 1.310 +- 0.031."]
    assert texts(document(signed(source), source), "121077") == []


@pytest.mark.parametrize(
    ("review", "title", "flag", "number"),
    [
        (None, "Trabecular texture report - PRELIMINARY", "UNVERIFIED", 1),
        (reported.review(), "Trabecular texture report - SIGNED, version 1", "VERIFIED", 2),
        (reported.AMENDED, "Trabecular texture report - AMENDED, version 2", "VERIFIED", 3),
    ],
)
def test_pages_carry_state_and_version(source: Path, review: Any, title: str, flag: str, number: int) -> None:
    report = reported.report(reported.scored(source), review=review)
    made = encapsulated_pdf.build(report, PDF, source)
    assert self_check.check(made) == ()
    ds = dcmread(BytesIO(made.part10))
    assert (ds.DocumentTitle, ds.VerificationFlag, ds.InstanceNumber) == (title, flag, number)
    assert ds.SeriesDescription == "TBS Report"


def test_another_act_is_another_instance_of_the_same_series(source: Path) -> None:
    first, second = (
        measurement_report.build(signed(source, review, result_digest=digest * 32), source)
        for review, digest in ((reported.review(), "aa"), (reported.AMENDED, "bb"))
    )
    assert first.sop_instance_uid != second.sop_instance_uid
    assert first.series_instance_uid == second.series_instance_uid


@pytest.mark.parametrize("name", sorted(sop_classes.SR_CLASSES))
def test_recast_keeps_who_verified(tmp_path: Path, name: str) -> None:
    source = sources.write(
        tmp_path / "s.dcm",
        sources.spine(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"),
    )
    for reviewer in (reported.DOE, documents.JAPANESE, documents.CYRILLIC):
        report = signed(source, reported.review(reviewer=reviewer, comment="re\nview"))
        before = documents.reference(measurement_report.build(signed(source), source))
        (tmp_path / "archived.dcm").write_bytes(measurement_report.build(report, source).part10)
        built = measurement_report.build(report, source, sr_class=name, predecessor=before)
        recast = variant.recast(
            tmp_path / "archived.dcm",
            kind=built.kind,
            sop_class_uid=built.sop_class_uid,
            sop_instance_uid=built.sop_instance_uid,
            predecessor=before,
        )
        assert recast == built
        assert self_check.check(recast) == ()
        ds = dcmread(BytesIO(recast.part10))
        assert (ds.VerificationFlag, str(ds.PatientName)) == ("VERIFIED", "Yamada^Tarou=山田^太郎")


def test_same_act_same_bytes(source: Path) -> None:
    assert measurement_report.build(signed(source), source) == measurement_report.build(
        signed(source), source
    )


def test_a_name_in_one_script_stands_in_its_group(source: Path) -> None:
    who = Reviewer(login="x", name="山田^太郎")
    ds = document(signed(source, reported.review(reviewer=who)), source)
    name = ds.VerifyingObserverSequence[0].VerifyingObserverName
    assert (name.alphabetic, name.ideographic) == ("", "山田^太郎")


def test_a_signed_uncalibrated_report_has_no_category(source: Path) -> None:
    for review in (reported.review(), reported.AMENDED):
        derived = measurement_report.build(signed(source, replace(review, changes=())), source)
        words = str(dcmread(BytesIO(derived.part10)))
        for word in ("TBS-CAT", "TBS-CUTOFFS", "microarchitecture", "degraded", "normal"):
            assert word.casefold() not in words.casefold(), word


def test_without_a_calibration_no_tbs_of_any_kind_has_a_value(source: Path) -> None:
    # whatever else an analysis may carry: the one value that is missing decides
    for review in (None, reported.review()):
        report = reported.report(reported.maximal(source, tbs=None), review=review)
        ds = document(report, source)
        for name, group in groups(ds).items():
            told = {code: value for code, value in values(group).items() if "TBS" in code}
            assert told == ({"TBS": ("114007", "")} if name == "L1-L4" else {})
        used = {
            code.CodeValue
            for item in walk(ds)
            for sequence in ("ConceptNameCodeSequence", "ConceptCodeSequence")
            for code in item.get(sequence, [])
        }
        assert not {code for code in used if code.startswith(("TBS-CAT", "TBS-CUTOFFS", "TBS-SEE"))}
        assert values(groups(ds)["Earlier examination 20220304"])["TEXSLOPE-DIFF"] == (-0.05, "1")


def damaged(derived: DerivedInstance, **changes: Any) -> DerivedInstance:
    ds = dcmread(BytesIO(derived.part10))
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return replace(derived, part10=part10.encode(ds, version="0.1.0"))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"VerifyingObserverSequence": []}, "VerificationFlag and VerifyingObserverSequence disagree."),
        ({"VerificationFlag": "UNVERIFIED"}, "VerificationFlag and VerifyingObserverSequence disagree."),
        ({"PreliminaryFlag": "PRELIMINARY"}, "A verified document is not complete and final."),
        ({"CompletionFlag": "PARTIAL"}, "A verified document is not complete and final."),
        (
            {"VerifyingObserverSequence": [Dataset()]},
            "VerifyingObserverSequence does not say who verified, for whom and when.",
        ),
    ],
)
def test_a_faulty_signature_is_found(source: Path, changes: dict[str, Any], fault: str) -> None:
    derived = measurement_report.build(signed(source), source)
    assert fault in self_check.check(damaged(derived, **changes))


def test_a_number_that_is_none_is_found(source: Path) -> None:
    derived = measurement_report.build(signed(source), source)
    broken = replace(derived, part10=derived.part10.replace(b"1.25", b"nan "))
    assert broken != derived
    assert "NumericValue is not a number." in self_check.check(broken)


def test_every_relationship_is_one_that_all_three_classes_allow(source: Path) -> None:
    # Enhanced SR, the oldest of them: by value only, no 3D coordinates (PS3.3 A.35.2.3.1.2)
    for item in list(walk(document(signed(source, reported.AMENDED), source)))[1:]:
        assert item.RelationshipType in {
            "CONTAINS", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS PROPERTIES",
            "SELECTED FROM",
        }  # fmt: skip
        assert item.ValueType != "SCOORD3D"
        assert "ReferencedContentItemIdentifier" not in item
