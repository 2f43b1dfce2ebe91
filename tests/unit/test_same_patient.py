"""Whether two headers are of one patient and which came first; what at a PACS may be a densitometry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.model import Demographics, InstanceIdentity, Scanner
from tbsnode.net.query import ArchivedSeries, ArchivedStudy
from tbsnode.pipeline import fetch, same_patient
from tbsnode.pipeline.study_dates import is_earlier, study_age_days

JANE = Demographics(patient_id="7", issuer="A", name="Doe^Jane", birth_date="19500102", sex="F")


def test_one_patient_by_another_name() -> None:
    assert same_patient.differences(JANE, replace(JANE, name="Miller^Jane", age_years=70.0)) == ()


def test_every_difference_is_named_and_no_value() -> None:
    other = Demographics(patient_id="7", issuer="B", name="Doe^Jane", birth_date="19500201", sex="M")
    assert same_patient.differences(JANE, other) == (
        "Issuer of Patient ID",
        "Patient's Birth Date",
        "Patient's Sex",
    )


def test_what_an_archive_leaves_out_it_does_not_deny() -> None:
    silent = replace(JANE, issuer="", sex="")
    assert same_patient.differences(JANE, silent, may_lack=(same_patient.ISSUER, same_patient.SEX)) == ()
    assert same_patient.differences(JANE, silent) == ("Issuer of Patient ID", "Patient's Sex")
    denied = replace(JANE, issuer="B")
    assert same_patient.differences(JANE, denied, may_lack=(same_patient.ISSUER,)) == (
        "Issuer of Patient ID",
    )
    # what only the other states is a difference: we cannot know that it is ours
    assert same_patient.differences(replace(JANE, sex=""), JANE) == ("Patient's Sex",)


values = st.sampled_from(["", "A", "B"])
people = st.builds(Demographics, patient_id=st.just("7"), issuer=values, birth_date=values, sex=values)


@given(people, people)
def test_the_order_of_two_patients_says_nothing(one: Demographics, other: Demographics) -> None:
    assert bool(same_patient.differences(one, other)) == bool(same_patient.differences(other, one))


@given(people, people)
def test_one_patient_has_one_birth_date_issuer_and_sex(one: Demographics, other: Demographics) -> None:
    agree = (one.issuer, one.birth_date, one.sex) == (other.issuer, other.birth_date, other.sex)
    assert (same_patient.differences(one, other) == ()) == (agree and one.birth_date != "")


@pytest.mark.parametrize(
    ("one", "other", "earlier"),
    [
        (("20240305", "101500"), ("20240306", "090000"), True),
        (("20240306", "090000"), ("20240305", "101500"), False),
        (("20240305", "09"), ("20240305", "0930"), True),
        (("20240305", "09:30:00"), ("20240305", "093000.5"), True),
        (("20240305", "101500"), ("20240305", "101500"), False),
        (("20240305", ""), ("20240305", "101500"), False),
        (("20240305", "101500"), ("20240305", ""), False),
        (("20240305", "noon"), ("20240305", "x"), False),
        (("", "101500"), ("20240305", "101500"), False),
        (("20240305", "101500"), ("", ""), False),
        (("2024", ""), ("20240305", ""), False),
    ],
)
def test_which_came_first(one: tuple[str, str], other: tuple[str, str], earlier: bool) -> None:
    assert is_earlier(one, other) is earlier


moments = st.tuples(
    st.sampled_from(["", "20240305", "20240306"]), st.sampled_from(["", "09", "0930", "093000.25", "10", "x"])
)


@given(moments, moments)
def test_of_two_one_at_most_came_first(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert not (is_earlier(one, other) and is_earlier(other, one))


def test_age_of_a_study() -> None:
    assert study_age_days("20240305", 1709683200.0) == 1  # 6 March 2024
    assert study_age_days("20240230", 1709683200.0) is None
    assert study_age_days("", 1709683200.0) is None


# ---- what may be a densitometry ---------------------------------------------------------------------

OURS = InstanceIdentity(
    sop_class_uid="1", sop_instance_uid="1.1", study_instance_uid="1.2", series_instance_uid="1.3",
    transfer_syntax_uid="1.4", modality="CR", study_description="Knochen", series_description="Images",
    scanner=Scanner(station_name="DXA1"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("study", "series", "moved"),
    [
        ("DXA Exam", {"modality": "CR", "description": "DXA Images"}, True),
        ("", {"modality": "BMD"}, True),
        ("Bone Densitometry", {"modality": "OT", "description": "AP Spine"}, True),
        ("Knochen", {"modality": "CR", "description": "Images"}, True),  # as our own is described
        ("", {"modality": "CR", "station_name": "DXA1"}, True),  # by our scanner
        ("", {"modality": "OT", "body_part_examined": "LSPINE"}, True),
        ("", {"modality": "OT"}, True),
        # what a whole series says of another part counts, what one of its instances says does not
        ("DXA Exam", {"modality": "CR", "description": "Left Femur"}, False),
        ("DXA Exam", {"modality": "CR", "description": "DXA Images", "body_part_examined": "HIP"}, True),
        # radiographs of the spine, of the chest; nothing known
        (
            "XR lumbar spine",
            {"modality": "CR", "description": "LWS a.p.", "body_part_examined": "LSPINE"},
            False,
        ),
        ("Thorax", {"modality": "DX", "description": "p.a.", "body_part_examined": "CHEST"}, False),
        ("", {"modality": "CR"}, False),
        # whatever it is called
        ("DXA Exam", {"modality": "CT"}, False),
        ("DXA Exam", {"modality": "SR", "description": "DXA Results"}, False),
        ("DXA Exam", {"modality": "OT", "instances": 500}, False),
    ],
)
def test_only_densitometry_is_worth_moving(study: str, series: dict[str, object], moved: bool) -> None:
    found = ArchivedSeries(series_instance_uid="1.5", **series)  # type: ignore[arg-type]
    described = ArchivedStudy(study_instance_uid="1.6", description=study)
    assert fetch._may_show_a_spine(OURS, described, found) is moved
