"""Earlier examinations: whose they are, which count, what they come to today, and what is never told.

The pictures are one simulated spine, scanned again: only noise and repositioning differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tbsnode import text
from tbsnode.dicom import acquisition, codes, measurement_report, sop_classes
from tbsnode.model import (
    Analysis,
    Corrections,
    FollowUp,
    ReceivedInstance,
    Report,
    Review,
    ReviewAction,
    Reviewer,
)
from tbsnode.pipeline import intake, operate, priors, remeasure, spines
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import Interpreting, interpreted, scanner_key
from tbsnode.pipeline.making import make_report
from tbsnode.pipeline.site import Site
from tbsnode.reasons import Code
from tbsnode.store import calibrations, catalogue, reviews
from tbsnode.tbs.calibration import Calibration, Covariate, Kind, estimator_of
from tbsnode.tbs.parameters import Parameters
from tests import desk, nodes, peers, reported

PATIENT = acquisition.PatientTags(patient_id="P-1", name="Doe^Jane", birth_date="19500102", sex="F")
SMALL = acquisition.Options(small=True, anatomy_seed=7)
NOW, THEN = "20261101", "20250314"
ALL = ("L1", "L2", "L3", "L4")


@cache
def part10(
    seed: int, day: str, patient: acquisition.PatientTags = PATIENT, options: acquisition.Options = SMALL,
    kind: str = "display",
) -> bytes:  # fmt: skip
    (made,) = acquisition.study(
        kind, patient=patient, seed=seed, study_date=day, study_key=f"{patient}/{day}/{seed}", options=options
    )
    return made


@cache
def analyzed(seed: int = 7, day: str = NOW, patient: acquisition.PatientTags = PATIENT) -> Analysis:
    """The result of today's picture."""
    path = Path(f"{_folder()}/{abs(hash((seed, day, patient)))}.dcm")
    path.write_bytes(part10(seed, day, patient))
    (result,) = analyze_file(path, AnalysisSettings())
    return result.analysis


@cache
def _folder() -> str:
    import tempfile

    return tempfile.mkdtemp(prefix="tbsnode-priors-")


@dataclass
class House:
    """A node's tables and archive, without its processes."""

    site: Site
    folder: Path
    settings: AnalysisSettings = field(default_factory=AnalysisSettings)
    count: int = 0

    def file(self, made: bytes) -> Path:
        self.count += 1
        path = self.folder / f"{self.count}.dcm"
        path.write_bytes(made)
        return path

    def keep(self, made: bytes) -> str:
        """Import one instance; return its study."""
        operate.import_file(self.site, self.file(made))
        return str(dcmread(BytesIO(made), stop_before_pixels=True).StudyInstanceUID)

    def earlier(self, seed: int = 8, day: str = THEN, **changes: Any) -> str:
        """Keep an earlier examination of the same patient, but for the changes; return its study."""
        options = changes.pop("options", SMALL)
        return self.keep(part10(seed, day, replace(PATIENT, **changes), options))

    def fetch(self, made: bytes, *, fetched: bool = True) -> intake.Intake:
        """Let the receiver take one instance, as a sub-operation of our own retrieval or not."""
        ds = dcmread(BytesIO(made), stop_before_pixels=True)
        received = ReceivedInstance(
            path=self.file(made),
            sop_class_uid=ds.SOPClassUID,
            sop_instance_uid=ds.SOPInstanceUID,
            transfer_syntax_uid=ds.file_meta.TransferSyntaxUID,
            calling_ae_title="PACS",
            called_ae_title="TBSNODE",
            host="192.0.2.20",
            association_id="",
            fetched=fetched,
        )
        return intake.take(self.site, received, receiver="test")

    def ask(
        self, analysis: Analysis | None = None, patient: acquisition.PatientTags = PATIENT
    ) -> FollowUp | None:
        """Keep today's examination and return its course."""
        uid = self.keep(part10(7, NOW, patient))
        with self.site.database.read() as tx:
            study = catalogue.study_by_uid(tx, uid)
        assert study is not None
        study = replace(study, content_at=datetime(2026, 11, 2, tzinfo=UTC).timestamp())
        return priors.follow_up(self.site, study, analysis or analyzed(patient=patient), self.settings)

    def row(self, uid: str) -> Any:
        with self.site.database.read() as tx:
            return catalogue.study_by_uid(tx, uid)

    def set(self, uid: str, **values: Any) -> None:
        with self.site.database.transaction() as tx:
            catalogue.update_study(tx, self.row(uid).id, **values)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with desk.desk(nodes.Node(tmp_path / "node", 11112)) as made:
        yield House(made.site, tmp_path)


def coded(found: FollowUp | None) -> list[Code]:
    assert found is not None
    return [finding.code for finding in found.findings]


def told(found: FollowUp | None) -> str:
    assert found is not None
    return " ".join(text.sentence(finding) for finding in found.findings)


# ---- what goes well -------------------------------------------------------------------------------


def test_without_an_earlier_examination_there_is_no_course(house: House) -> None:
    assert house.ask() is None


def test_the_difference_is_now_less_then(house: House) -> None:
    uid = house.earlier()
    found = house.ask()
    assert found is not None
    (prior,) = found.priors
    now, then = analyzed().score, analyzed(8, THEN).score
    assert now is not None
    assert then is not None
    assert (prior.study_instance_uid, prior.examined_on, prior.origin) == (uid, THEN, "archive")
    assert (prior.score, prior.difference) == (then, now - then)
    assert (prior.comparable, prior.levels, prior.tbs, prior.tbs_difference) == (True, ALL, None, None)
    assert prior.age_years == 75
    assert (found.findings, found.lsc, found.tbs_lsc) == ((), None, None)
    assert found.last_comparable is prior


def test_a_later_examination_is_no_earlier_one(house: House) -> None:
    house.earlier(8, "20261102")
    assert house.ask() is None


def test_of_one_day_the_earlier_hour_counts(house: House) -> None:
    house.earlier(8, NOW, options=replace(SMALL, study_time="090000"))
    house.earlier(9, NOW, options=replace(SMALL, study_time="110000"))
    house.earlier(10, NOW, options=replace(SMALL, study_time=""))
    found = house.ask()
    assert found is not None
    assert [each.score for each in found.priors] == [analyzed(8, NOW).score]


def test_several_come_in_order_and_only_the_newest_that_are_wanted(house: House) -> None:
    for seed, day in ((9, "20230101"), (8, "20240101"), (10, "20250101")):
        house.earlier(seed, day)
    found = house.ask()
    assert found is not None
    assert [each.examined_on for each in found.priors] == ["20230101", "20240101", "20250101"]
    house.site = replace(house.site, policy=replace(house.site.policy, priors_most=2))
    found = house.ask()
    assert found is not None
    assert [each.examined_on for each in found.priors] == ["20240101", "20250101"]
    house.site = replace(house.site, policy=replace(house.site.policy, priors_most=0))
    assert house.ask() is None


# ---- whose ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "attribute"),
    [
        ({"birth_date": "19500201"}, "Patient's Birth Date"),  # day and month exchanged
        ({"birth_date": "19600102"}, "Patient's Birth Date"),
        ({"birth_date": ""}, "Patient's Birth Date"),
        ({"sex": "M"}, "Patient's Sex"),
        ({"sex": ""}, "Patient's Sex"),
        ({"issuer": "OTHER-SITE"}, "Issuer of Patient ID"),
    ],
)
def test_one_patient_id_of_two_people(house: House, changes: dict[str, str], attribute: str) -> None:
    """Everything else agrees, the name too; no trend, and the finding tells no value."""
    issuer = changes.pop("issuer", "")
    options = replace(SMALL, attributes=(("IssuerOfPatientID", issuer),) if issuer else ())
    house.earlier(options=options, **changes)
    found = house.ask()
    assert found is not None
    assert found.priors == ()
    assert coded(found) == [Code.PRIOR_IDENTITY]
    assert attribute in told(found)
    for value in (*changes.values(), issuer, "19500102", "Doe", "P-1"):
        assert not value or value not in told(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"patient_id": "P-2"},
        {"patient_id": "p-1"},
        {"patient_id": "P-1 2"},
        {"patient_id": "P-11"},
        {"patient_id": "P-*"},
        {"patient_id": ""},
    ],
)
def test_a_patient_of_the_same_name_and_birth_date_is_another_one(
    house: House, changes: dict[str, str]
) -> None:
    house.earlier(**changes)
    assert house.ask() is None


def test_without_a_patient_id_nobody_is_the_same(house: House) -> None:
    nameless = replace(PATIENT, patient_id="")
    house.earlier(patient_id="")
    assert house.ask(patient=nameless) is None


def test_a_number_alone_holds_nobody_together(house: House) -> None:
    """Neither states a birth date: the same Patient ID may be that of two people."""
    unborn = replace(PATIENT, birth_date="")
    house.earlier(birth_date="")
    found = house.ask(patient=unborn)
    assert found is not None
    assert (found.priors, coded(found)) == ((), [Code.PRIOR_IDENTITY])


def test_another_name_is_the_same_patient(house: House) -> None:
    house.earlier(name="Doe-Miller^Jane")
    found = house.ask()
    assert found is not None
    assert len(found.priors) == 1


def test_one_stranger_does_not_hide_the_patient(house: House) -> None:
    own = house.earlier(8, "20240101")
    house.earlier(9, "20250101", birth_date="19710707")
    found = house.ask()
    assert found is not None
    assert [each.study_instance_uid for each in found.priors] == [own]
    assert coded(found) == [Code.PRIOR_IDENTITY]


def test_the_header_decides_and_not_the_catalogue(house: House) -> None:
    """The catalogue's patient is one row for both: it says what the first instance said."""
    house.earlier(8, "20240101")
    house.earlier(9, "20250101", birth_date="19710707")
    with house.site.database.read() as tx:
        first = catalogue.study_by_uid(tx, house.earlier(8, "20240101"))
        second = catalogue.study_by_uid(tx, house.earlier(9, "20250101", birth_date="19710707"))
    assert first is not None
    assert second is not None
    assert first.patient_ref == second.patient_ref
    found = house.ask(patient=replace(PATIENT, birth_date="19710707"))
    assert found is not None
    assert [each.examined_on for each in found.priors] == ["20250101"]


def test_a_header_that_was_corrected_counts_as_it_is_now(house: House) -> None:
    """The technologist had typed another birth date, and sent the study again."""
    uid = house.earlier(birth_date="19710707")
    corrected = dcmread(BytesIO(part10(8, THEN, replace(PATIENT, birth_date="19710707"))))
    corrected.PatientBirthDate = PATIENT.birth_date
    buffer = BytesIO()
    corrected.save_as(buffer)
    assert house.keep(buffer.getvalue()) == uid
    found = house.ask()
    assert found is not None
    assert (len(found.priors), found.findings) == (1, ())


# ---- which count ------------------------------------------------------------------------------------


def test_a_phantom_has_no_course(house: House) -> None:
    phantom = replace(PATIENT, patient_id="QC-1")
    house.earlier(patient_id="QC-1")
    assert house.ask(patient=phantom) is None


@pytest.mark.parametrize(
    "values",
    [
        {"review_state": "rejected"},
        {"state": "held", "reason": "IDENTITY_CONFLICT"},
        {"state": "not_applicable", "reason": "NOT_AP_SPINE"},
    ],
)
def test_what_was_rejected_held_or_is_no_spine_does_not_count(house: House, values: dict[str, str]) -> None:
    house.set(house.earlier(), **values)
    assert house.ask() is None


@pytest.mark.parametrize("reason", ["NOT_ORDERED", "FETCHED_PRIOR"])
def test_what_was_only_not_reported_counts(house: House, reason: str) -> None:
    house.set(house.earlier(), state="not_applicable", reason=reason)
    found = house.ask()
    assert found is not None
    assert len(found.priors) == 1


def test_an_image_without_a_score_does_not_count(house: House) -> None:
    house.keep(part10(8, THEN, PATIENT, acquisition.Options(), "hip"))
    house.earlier(9, "20240101", options=replace(SMALL, attributes=(("LossyImageCompression", "01"),)))
    assert house.ask() is None


def test_the_same_picture_under_another_study_is_a_copy(house: House) -> None:
    """An archive that gives new UIDs would state a change of exactly zero."""
    house.earlier(7, THEN)
    assert house.ask() is None
    house.earlier(8, "20240101")
    house.earlier(8, "20240102")
    found = house.ask()
    assert found is not None
    assert [each.examined_on for each in found.priors] == ["20240102"]


# ---- what they come to today ------------------------------------------------------------------------


def finished(house: House, uid: str) -> None:
    operate.ready(house.site, uid)
    desk.Desk(house.site, None).work()  # type: ignore[arg-type]
    assert house.row(uid).state == "done"


def test_a_stored_result_is_not_measured_again_and_another_version_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.settings = replace(house.settings, version=house.site.policy.version)
    finished(house, house.earlier())
    measured: list[str] = []
    analyze = spines.analyze_pictures
    monkeypatch.setattr(
        remeasure, "analyze_pictures", lambda *args: measured.append("again") or analyze(*args)
    )
    stored = house.ask()
    assert measured == []
    house.settings = replace(house.settings, version="0.0.1")
    assert house.ask() == stored, "both ways give the same bits"
    assert measured == ["again"]
    house.settings = replace(
        house.settings, version=house.site.policy.version, parameters=Parameters(region="body")
    )
    assert house.ask() != stored
    assert measured == ["again", "again"]


def reviewed(house: House, uid: str, action: ReviewAction, **decided: Any) -> None:
    """Write an act of a reviewer on the newest result of a study."""
    with house.site.database.transaction() as tx:
        study = catalogue.study_by_uid(tx, uid)
        assert study is not None
        last = catalogue.analyses_of_study(tx, study.id)[-1]
        image = catalogue.instances_of_study(tx, study.id)[0].sop_instance_uid
        act = Review(
            action=action,
            reviewer=Reviewer(login="jdoe", name="Doe^Jane"),
            host="desk",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            **decided,
        )
        reviews.add_review(tx, study.id, last.id, act, corrected_image=image)


def test_what_a_reviewer_corrected_stands(house: House) -> None:
    """L3 was left out then: the levels differ, so nothing is compared, and the score is that of three."""
    uid = house.earlier()
    finished(house, uid)
    reviewed(house, uid, ReviewAction.CORRECT, corrections=Corrections(exclude=("L3",)))
    house.settings = replace(house.settings, version="0.0.1")  # measured again
    found = house.ask()
    assert found is not None
    (prior,) = found.priors
    assert (prior.levels, prior.comparable, prior.difference) == (("L1", "L2", "L4"), False, None)
    assert prior.score != analyzed(8, THEN).score
    assert coded(found) == [Code.PRIOR_NOT_COMPARABLE]
    assert "levels" in told(found)


def test_a_rejection_outlives_what_came_after_it(house: House) -> None:
    """A changed result waits for a reviewer; until then nobody has taken back the rejection."""
    uid = house.earlier()
    finished(house, uid)
    reviewed(house, uid, ReviewAction.REJECT)
    house.set(uid, review_state="needs_re_review")
    assert house.ask() is None


@pytest.mark.parametrize(
    ("attribute", "value", "code", "words"),
    [
        ("DeviceSerialNumber", "OTHER", Code.PRIOR_NOT_COMPARABLE, "another scanner"),
        ("SoftwareVersions", "99.1", Code.PRIOR_NOT_COMPARABLE, "software version"),
        ("ScanOptions", "THICK", Code.SCAN_MODE_CHANGED, "Scan mode THICK then, not stated now"),
    ],
)
def test_another_scanner_software_or_mode_is_stated_and_not_compared(
    house: House, attribute: str, value: str, code: Code, words: str
) -> None:
    house.earlier(options=replace(SMALL, attributes=((attribute, value),)))
    found = house.ask()
    assert found is not None
    (prior,) = found.priors
    assert (prior.comparable, prior.difference) == (False, None)
    assert prior.score == analyzed(8, THEN).score
    assert coded(found) == [code]
    assert words in told(found)
    assert found.last_comparable is None


def test_a_file_that_is_gone_does_not_stop_a_report(house: House) -> None:
    uid = house.earlier()
    with house.site.database.read() as tx:
        (row,) = catalogue.instances_of_study(tx, house.row(uid).id)
    house.site.archive.path(row.path).unlink()
    assert house.ask() is None


# ---- calibration and least significant change --------------------------------------------------------


def precision(house: House, analysis: Analysis, lsc: float | None, **key: Any) -> None:
    """Put a precision study of this scanner into use."""
    from dataclasses import asdict

    level_set = {
        "levels": list(ALL), "subjects": 30, "degrees": 30, "rms_sd": 0.02, "cv_percent": 1.4,
        "upper_95": 0.03, "lsc": lsc,
    }  # fmt: skip
    record = {
        "key": asdict(scanner_key(analysis)) | key,
        "estimator": estimator_of(analysis.parameters),
        "same_day": 0,
        "enough": True,
        "sets": [level_set],
    }
    with house.site.database.transaction() as tx:
        calibrations.add_precision(tx, record, "Dr. Example")


def line(analysis: Analysis, slope: float) -> Calibration:
    return Calibration(
        kind=Kind.PAIRED,
        key=scanner_key(analysis),
        intercept=0.1,
        slope=slope,
        see=0.02,
        pairs=70,
        estimator=estimator_of(Parameters()),
        approved_by="Dr. Example",
        approved_on=date(2026, 1, 1),
        valid_until=date(2028, 1, 1),
    ).named()


def test_the_least_significant_change_is_the_sites_own(house: House) -> None:
    precision(house, analyzed(), 0.05)
    house.earlier()
    found = house.ask()
    assert found is not None
    assert (found.lsc, found.tbs_lsc) == (0.05, None)


def test_a_study_that_is_too_small_does_not_replace_one_that_is_not(house: House) -> None:
    precision(house, analyzed(), 0.05)
    precision(house, analyzed(), None)
    house.earlier()
    found = house.ask()
    assert found is not None
    assert found.lsc == 0.05


@pytest.mark.parametrize("key", [{"device_serial_number": "OTHER"}, {"software_versions": "0.9"}])
def test_a_precision_study_of_another_scanner_says_nothing(house: House, key: dict[str, str]) -> None:
    precision(house, analyzed(), 0.05, **key)
    house.earlier()
    found = house.ask()
    assert found is not None
    assert (len(found.priors), found.lsc) == (1, None)


def test_calibrated_values_differ_by_the_slope(house: House) -> None:
    """TBS = 0.1 + 0.8 score for both: difference and least significant change are 0.8 times as large."""
    rule = Interpreting(calibrations=(line(analyzed(), 0.8),), on=date(2026, 11, 2))
    house.settings = replace(house.settings, interpreting=rule)
    precision(house, analyzed(), 0.05)
    house.earlier()
    today = interpreted(analyzed(), rule)
    assert today.tbs is not None
    found = house.ask(today)
    assert found is not None
    (prior,) = found.priors
    assert prior.tbs == pytest.approx(0.1 + 0.8 * prior.score)
    assert prior.difference is not None
    assert prior.tbs_difference == pytest.approx(0.8 * prior.difference)
    assert found.tbs_lsc == pytest.approx(0.8 * 0.05)


def test_age_and_weight_are_no_change_of_texture(house: House) -> None:
    """A calibration that takes age off: two years older and 9 kg lighter, her bone is judged by itself."""
    aging = replace(
        line(analyzed(), 0.8),
        covariates=(
            Covariate(name="age_years", slope=-0.02, center=65.0),
            Covariate(name="bmi", slope=0.01, center=26.0),
        ),
        calibration_id="",
    ).named()
    rule = Interpreting(calibrations=(aging,), on=date(2026, 11, 2))
    house.settings = replace(house.settings, interpreting=rule)
    precision(house, analyzed(), 0.05)
    house.earlier(weight_kg=75.0)
    today = interpreted(analyzed(), rule)
    assert today.tbs is not None
    found = house.ask(today)
    assert found is not None
    (prior,) = found.priors
    assert prior.difference is not None
    assert prior.tbs is not None
    assert prior.tbs_difference == pytest.approx(0.8 * prior.difference)
    assert today.tbs - prior.tbs == pytest.approx(prior.tbs_difference)


# ---- our own reports ---------------------------------------------------------------------------------


def own_report(house: House, score: float, version: str = "0.1.0", **changes: Any) -> bytes:
    """Return a measurement report of an earlier examination, as it comes back from an archive."""
    made = part10(8, THEN, replace(PATIENT, **changes))
    source = house.file(made)
    analysis = replace(analyzed(8, THEN, replace(PATIENT, **changes)), score=score, version=version)
    report: Report = make_report(analysis, provenance=replace(reported.MADE, version=version))
    return measurement_report.build(report, source).part10


def test_where_no_image_is_left_our_report_is_told_and_not_compared(house: House) -> None:
    uid = house.keep(own_report(house, 1.25))
    found = house.ask()
    assert found is not None
    (prior,) = found.priors
    assert (prior.study_instance_uid, prior.origin, prior.score) == (uid, "own report", 1.25)
    assert (prior.comparable, prior.difference, prior.tbs, prior.levels) == (False, None, None, ALL)
    assert prior.examined_on == THEN
    assert coded(found) == [Code.PRIOR_NOT_COMPARABLE]


def test_beside_its_image_a_report_counts_for_nothing(house: House) -> None:
    house.keep(own_report(house, 1.25))
    house.earlier()
    found = house.ask()
    assert found is not None
    assert [each.origin for each in found.priors] == ["archive"]


def test_a_report_of_another_patient_is_not_told(house: House) -> None:
    house.keep(own_report(house, 1.25, birth_date="19710707"))
    found = house.ask()
    assert found is not None
    assert (found.priors, coded(found)) == ((), [Code.PRIOR_IDENTITY])


def test_a_report_that_was_withdrawn_is_not_told(house: House) -> None:
    made = own_report(house, 1.25)
    house.keep(made)
    ds = dcmread(BytesIO(made))
    assert len(house.ask().priors) == 1  # type: ignore[union-attr]
    rejected = Dataset()
    rejected.ReferencedSOPClassUID, rejected.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = ds.SeriesInstanceUID, [rejected]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = ds.StudyInstanceUID, [series]
    title = codes.item(codes.Concept("113001", "DCM", "Rejected for Quality Reasons"))
    ds.CurrentRequestedProcedureEvidenceSequence = [study]
    ds.ConceptNameCodeSequence, ds.ContentSequence = [title], []
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_classes.STORAGE[
        "Key Object Selection Document Storage"
    ]
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.9.9"
    ds.SeriesInstanceUID, ds.Modality = "1.2.9", "KO"
    buffer = BytesIO()
    ds.save_as(buffer)
    house.keep(buffer.getvalue())
    assert house.ask() is None


# ---- what was fetched --------------------------------------------------------------------------------


def test_what_was_fetched_waits_for_nobody_and_counts(house: House) -> None:
    uid = house.fetch(part10(8, THEN)).study_instance_uid
    row = house.row(uid)
    assert (row.state, row.reason, row.ready_at) == ("not_applicable", Code.FETCHED_PRIOR, None)
    found = house.ask()
    assert found is not None
    (prior,) = found.priors
    assert (prior.origin, prior.comparable) == ("pacs", True)
    assert house.fetch(part10(8, THEN)).outcome == intake.DUPLICATE
    assert house.row(uid).ready_at is None


def test_a_fetched_study_that_is_analyzed_after_all_is_not_published(house: House) -> None:
    uid = house.fetch(part10(8, THEN)).study_instance_uid
    operate.ready(house.site, uid)
    desk.Desk(house.site, None).work()  # type: ignore[arg-type]
    row = house.row(uid)
    assert (row.state, row.reason) == ("done", Code.FETCHED_PRIOR)
    with house.site.database.read() as tx:
        (analysis,) = catalogue.analyses_of_study(tx, row.id)
    assert (analysis.status, analysis.published) == ("scored", False)


def test_what_the_scanner_sends_later_is_an_ordinary_study(house: House) -> None:
    uid = house.fetch(part10(8, THEN)).study_instance_uid
    assert house.fetch(part10(8, THEN), fetched=False).outcome == intake.ADOPTED
    row = house.row(uid)
    assert row.state == "receiving"
    assert row.ready_at is not None
    finished(house, uid)
    with house.site.database.read() as tx:
        (analysis,) = catalogue.analyses_of_study(tx, row.id)
        (instance,) = catalogue.instances_of_study(tx, row.id)
    assert analysis.published
    assert not instance.fetched


def test_another_header_from_the_scanner_makes_it_ordinary_too(house: House) -> None:
    """The PACS had written an accession number into what was fetched."""
    changed = dcmread(BytesIO(part10(8, THEN)))
    changed.AccessionNumber = "COERCED"
    buffer = BytesIO()
    changed.save_as(buffer)
    uid = house.fetch(buffer.getvalue()).study_instance_uid
    assert house.fetch(part10(8, THEN), fetched=False).outcome == intake.CORRECTED
    assert house.row(uid).ready_at is not None
    with house.site.database.read() as tx:
        rows = catalogue.instances_of_study(tx, house.row(uid).id)
    assert [(row.state, row.fetched) for row in rows] == [("superseded", True), ("current", False)]


def test_what_is_fetched_replaces_nothing_of_the_scanners(house: House) -> None:
    uid = house.earlier()
    before = house.row(uid)
    changed = dcmread(BytesIO(part10(8, THEN)))
    changed.AccessionNumber = "COERCED"
    buffer = BytesIO()
    changed.save_as(buffer)
    assert house.fetch(buffer.getvalue()).outcome == intake.DUPLICATE
    assert house.row(uid) == before


# ---- the PACS, without one ---------------------------------------------------------------------------


def asking(house: House, port: int) -> None:
    from tbsnode.model import Peer

    pacs = Peer(name="pacs", ae_title="PACS", host=peers.LOOPBACK, port=port, calling_ae_title="TBSNODE")
    policy = replace(house.site.policy, priors_from="pacs", priors_timeout_s=2.0)
    house.site = replace(house.site, peers=(pacs,), policy=policy)


def test_a_pacs_that_is_down_is_said_and_stops_nothing(house: House, free_port: int) -> None:
    house.earlier()
    asking(house, free_port)
    found = house.ask()
    assert found is not None
    assert len(found.priors) == 1
    assert coded(found) == [Code.PRIORS_NOT_FETCHED]
    assert "The PACS cannot be reached." in told(found)
    assert peers.LOOPBACK not in told(found)
    assert house.ask() == found, "the same words each time: a rerun makes the same report"


def test_a_study_too_old_to_be_reported_asks_nobody(house: House, free_port: int) -> None:
    """An archive of ten thousand old studies is imported: the PACS is not asked ten thousand times."""
    asking(house, free_port)
    house.site = replace(house.site, policy=replace(house.site.policy, max_study_age_days=1))
    uid = house.keep(part10(7, NOW))
    study = replace(house.row(uid), content_at=datetime(2026, 11, 30, tzinfo=UTC).timestamp())
    assert priors.follow_up(house.site, study, analyzed(), house.settings) is None
