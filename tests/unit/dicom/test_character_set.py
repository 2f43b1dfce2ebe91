"""The source's character set stays, unless somebody's name does not fit: then everything is encoded again."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import character_set, measurement_report, part10, rejection, self_check
from tbsnode.model import RejectionReason, Reviewer
from tests import reported, sources

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
CYRILLIC = "Щербаков^Пётр"
KANJI = ["", "ISO 2022 IR 87"]


def source_of(folder: Path, charset: Any, patient: str) -> Path:
    item = sources.code("77080", "C4", patient.split("^")[0][:16])
    return sources.write(
        folder / "source.dcm",
        sources.spine(
            SpecificCharacterSet=charset,
            PatientName=patient,
            ProcedureCodeSequence=[item],
            InstitutionName=patient.split("^")[0],
        ),
    )


def signed(source: Path, **who: str) -> Dataset:
    review = reported.review(reviewer=Reviewer(**{"login": "x", "name": "Doe^Jane", **who}))
    made = measurement_report.build(reported.report(reported.scored(source), review=review), source)
    assert self_check.check(made) == ()
    return dcmread(BytesIO(made.part10))


def names(ds: Dataset) -> tuple[str, str]:
    (observer,) = ds.VerifyingObserverSequence
    (item,) = [i for i in ds.ContentSequence if i.ValueType == "PNAME"]
    assert item.PersonName == observer.VerifyingObserverName
    return str(ds.PatientName), str(item.PersonName)


@pytest.mark.parametrize(
    ("charset", "patient", "reviewer", "becomes"),
    [
        # it fits: nothing changes
        ("ISO_IR 100", "Müller^Jürgen", "Doe^Jane", "ISO_IR 100"),
        ("ISO_IR 100", "Müller^Jürgen", "Förster^Ägidius", "ISO_IR 100"),
        ("ISO_IR 144", CYRILLIC, "Петров^Иван", "ISO_IR 144"),
        (KANJI, JAPANESE, "Tanaka^Ken=田中^健", KANJI),
        ("ISO_IR 192", "Müller^山田", JAPANESE, "ISO_IR 192"),
        (None, "Doe^John", "Doe^Jane", None),
        # it does not
        ("ISO_IR 100", "Müller^Jürgen", JAPANESE, "ISO_IR 192"),
        ("ISO_IR 100", "Müller^Jürgen", CYRILLIC, "ISO_IR 192"),
        (KANJI, JAPANESE, "Müller^Jürgen", "ISO_IR 192"),
        # in JIS X 0208 a letter has a byte 5CH
        (KANJI, JAPANESE, CYRILLIC, "ISO_IR 192"),
        (KANJI, JAPANESE, "Yamamoto^Ken=山本^健", "ISO_IR 192"),
        (KANJI, JAPANESE, "Kim^Minsu=金^民秀=김^민수", "ISO_IR 192"),
        ("ISO_IR 144", CYRILLIC, "Müller^Jürgen", "ISO_IR 192"),
        (None, "Doe^John", "Müller^Jürgen", "ISO_IR 192"),
    ],
)
def test_names_come_back(tmp_path: Path, charset: Any, patient: str, reviewer: str, becomes: Any) -> None:
    ds = signed(source_of(tmp_path, charset, patient), name=reviewer)
    found = ds.get("SpecificCharacterSet")
    assert (found if found is None or isinstance(found, str) else list(found)) == becomes
    assert names(ds) == (patient, reviewer)
    assert ds.InstitutionName == patient.split("^")[0]
    assert ds.ProcedureCodeSequence[0].CodeMeaning == patient.split("^")[0][:16]


def test_what_is_copied_keeps_its_bytes_where_nothing_changes(tmp_path: Path) -> None:
    source = source_of(tmp_path, KANJI, JAPANESE)
    review = reported.review(reviewer=Reviewer(login="x", name="Tanaka^Ken=田中^健"))
    made = measurement_report.build(reported.report(reported.scored(source), review=review), source)
    (tmp_path / "made.dcm").write_bytes(made.part10)
    before, after = part10.read_header(source), part10.read_header(tmp_path / "made.dcm")
    assert before.raw("PatientName") == after.raw("PatientName")


def test_bytes_that_the_character_set_does_not_explain_are_read_as_latin_1(tmp_path: Path) -> None:
    path = source_of(tmp_path, "ISO_IR 144", "Müller^Jürgen".encode("latin-1").decode("iso8859_5"))
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 144", b"ISO_IR 999"))
    assert names(signed(path, name=JAPANESE)) == ("Müller^Jürgen", JAPANESE)


@pytest.mark.parametrize(
    "changes",
    [
        {"comment": "Остеофит L3.\nПовторно."},
        {"reviewer": Reviewer(login="щ", name="Doe^Jane")},
        {"reviewer": Reviewer(login="x", name="Doe^Jane", organization="Клиника")},
        {"host": "узел"},
        {"changes": (reported.Change(what="status", before="", after="подписано"),)},
    ],
)
def test_every_word_of_a_reviewer_counts(tmp_path: Path, changes: dict[str, Any]) -> None:
    source = source_of(tmp_path, "ISO_IR 100", "Müller^Jürgen")
    report = reported.report(reported.scored(source), review=reported.review(**changes))
    made = measurement_report.build(report, source).part10
    assert dcmread(BytesIO(made)).SpecificCharacterSet == "ISO_IR 192"
    words = ("Остеофит L3.\nПовторно.", "щ", "Клиника", "узел", "подписано")
    assert sum(word.encode() in made for word in words) == 1


def test_declared_words_count_too(tmp_path: Path) -> None:
    source = source_of(tmp_path, "ISO_IR 100", "Müller^Jürgen")
    declared = reported.replace(reported.DECLARED, source="анкета")
    report = reported.report(reported.maximal(source, clinical=declared))
    made = measurement_report.build(report, source).part10
    assert dcmread(BytesIO(made)).SpecificCharacterSet == "ISO_IR 192"
    assert "анкета".encode() in made


@pytest.mark.parametrize("keyword", ["reference", "calibration", "threshold_set"])
def test_names_that_a_site_gave_count_too(tmp_path: Path, keyword: str) -> None:
    source = source_of(tmp_path, "ISO_IR 100", "Müller^Jürgen")
    made = measurement_report.build(
        reported.report(reported.maximal(source, **{keyword: "Взрослые"})), source
    ).part10
    assert dcmread(BytesIO(made)).SpecificCharacterSet == "ISO_IR 192"
    assert "Взрослые".encode() in made


def test_a_reference_population_is_named_as_the_scanner_does(tmp_path: Path) -> None:
    source = source_of(tmp_path, KANJI, JAPANESE)
    spine = reported.replace(reported.SPINE_RESULTS, reference="日本人")
    made = measurement_report.build(reported.report(reported.scored(source, densitometry=spine)), source)
    ds = dcmread(BytesIO(made.part10))
    assert list(ds.SpecificCharacterSet) == KANJI
    ds.decode()
    assert "日本人" in str(ds)


def test_our_own_typography_does_not_change_the_character_set(tmp_path: Path) -> None:
    source = source_of(tmp_path, None, "Doe^John")
    report = reported.report(reported.scored(source), interpretation="1.18 ± 0.03 – “degraded”…")
    ds = dcmread(BytesIO(measurement_report.build(report, source).part10))
    assert "SpecificCharacterSet" not in ds
    (said,) = [i for i in ds.ContentSequence[-1].ContentSequence if i.ValueType == "TEXT"][:1]
    assert said.TextValue == '1.18 +- 0.03 - "degraded"...'


def test_a_rejection_has_the_reviewers_name_too(tmp_path: Path) -> None:
    source = source_of(tmp_path, KANJI, JAPANESE)
    who = Reviewer(login="x", name="Müller^Jürgen", organization="Knochenärzte")
    withdrawn = reported.report(reported.scored(source)).source
    made = rejection.build(
        (withdrawn,),
        reported.rejected(RejectionReason.SAFETY, reviewer=who),
        reported.MADE,
        source,
        digest="ab",
    )
    ds = dcmread(BytesIO(made.part10))
    assert (ds.SpecificCharacterSet, str(ds.PatientName)) == ("ISO_IR 192", JAPANESE)
    assert "Knochenärzte".encode() in made.part10


@pytest.mark.parametrize(
    ("text", "kept"), [("a\x1b$Bb\x00c\x7f", b"a$Bbc"), ("one\ntwo\tthree", b"one\ntwo\tthree")]
)
def test_control_characters_do_not_reach_a_document(text: str, kept: bytes) -> None:
    assert character_set.encode_text(text, ("iso8859",)) == kept
    assert character_set.holds(text, ("iso8859",))


def test_a_long_or_crowded_name_is_cut_to_what_a_name_may_be() -> None:
    groups = character_set.in_groups("a" * 70 + "=" + "b" * 70 + "=c=d\\e").split("=")
    assert [len(group) for group in groups] == [64, 64, 1]
    assert "\\" not in character_set.in_groups("A\\B^C")
