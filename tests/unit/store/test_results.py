"""Analyses, derived instances, events, and studies at a glance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tbsnode.model import (
    Analysis,
    AnalysisStatus,
    DeliveryState,
    DerivedInstance,
    DerivedKind,
    InstanceIdentity,
    StudyState,
    Vertebra,
)
from tbsnode.reasons import Code, Finding
from tbsnode.store import audit, catalogue, deliveries, listing, schema
from tbsnode.store.catalogue import AnalysisContext
from tbsnode.store.database import Database
from tbsnode.store.listing import StudyFilter
from tests import analyses

AddStudy = Callable[..., int]


def _vertebra(label: str, excluded: Code | None = None) -> Vertebra:
    return Vertebra(
        label=label,
        included=excluded is None,
        excluded=Finding(excluded, label) if excluded else None,
        score=None if excluded else 1.25,
        standard_error=None,
        native_score=1.1,
        unweighted_score=1.2,
        fit_r2=0.99,
        pairs=3_000_000_000,
        area_mm2=880.5,
        height_mm=34.0,
        region=((0.0, 0.0), (0.0, 9.0), (9.0, 0.0)),
    )


@pytest.fixture
def analysis(identity: InstanceIdentity) -> Analysis:
    return analyses.scored(
        identity=identity,
        vertebrae=(_vertebra("L2"), _vertebra("L1", Code.FEWER_THAN_TWO_VERTEBRAE)),
        standard_error=0.006,
    )


def _context(generation: int = 1, *, reported: bool = True, published: bool = True) -> AnalysisContext:
    return AnalysisContext(
        generation=generation,
        instance_id=None,
        reported=reported,
        published=published,
        content_digest=f"{generation:064d}",
        result_digest="d" * 64,
        content_at=1000.25,
        result={"status": "scored", "score": 1.25, "vertebrae": [], "text": "Änderung"},
    )


def _derived(uid: str = "2.25.1", kind: DerivedKind = DerivedKind.SR) -> DerivedInstance:
    return DerivedInstance(
        kind=kind,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        sop_instance_uid=uid,
        series_instance_uid="2.25.9",
        study_instance_uid="1.2.1",
        predecessor_uid="",
        part10=b"bytes",
    )


def test_an_analysis_reads_back_with_its_levels(
    database: Database, add_study: AddStudy, analysis: Analysis
) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        row_id = catalogue.add_analysis(tx, study_id, analysis, _context())
    with database.read() as tx:
        (row,) = catalogue.analyses_of_study(tx, study_id)
    assert (row.id, row.study_ref, row.generation) == (row_id, study_id, 1)
    assert (row.status, row.score, row.standard_error, row.tbs) == (AnalysisStatus.SCORED, 1.25, 0.006, None)
    assert (row.reported, row.published, row.input_class, row.category) == (True, True, "IMAGE", "")
    assert (row.content_at, row.version) == (1000.25, "0.1.0")
    assert row.result == _context().result
    first, second = row.vertebrae
    assert (first.label, first.included, first.excluded) == ("L1", False, "FEWER_THAN_TWO_VERTEBRAE")
    assert (second.label, second.score, second.pairs, second.area_mm2) == ("L2", 1.25, 3_000_000_000, 880.5)


def test_a_refusal_has_a_reason_and_no_levels(
    database: Database, add_study: AddStudy, analysis: Analysis
) -> None:
    refused = replace(
        analysis,
        status=AnalysisStatus.REFUSED,
        reason=Finding(Code.REPORT_PAGE),
        input_class=None,
        vertebrae=(),
        score=None,
    )
    study_id = add_study(1)
    with database.transaction() as tx:
        catalogue.add_analysis(tx, study_id, refused, _context(published=False))
    with database.read() as tx:
        (row,) = catalogue.analyses_of_study(tx, study_id)
    assert (row.status, row.reason, row.score, row.input_class) == (
        AnalysisStatus.REFUSED,
        "REPORT_PAGE",
        None,
        "",
    )
    assert row.vertebrae == ()


def test_the_last_published_is_the_newest_that_left(
    database: Database, add_study: AddStudy, analysis: Analysis
) -> None:
    study_id, other = add_study(1), add_study(2)
    with database.transaction() as tx:
        assert catalogue.last_published(tx, study_id) is None
        for generation, published in ((1, True), (2, True), (3, False)):
            context = _context(generation, published=published)
            catalogue.add_analysis(tx, study_id, analysis, context)
        catalogue.add_analysis(tx, other, analysis, _context(9))
    with database.read() as tx:
        last = catalogue.last_published(tx, study_id)
    assert last is not None
    assert last.generation == 2
    assert len(last.vertebrae) == 2


def test_a_derived_instance_is_registered_once(
    database: Database, add_study: AddStudy, analysis: Analysis
) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        analysis_id = catalogue.add_analysis(tx, study_id, analysis, _context())

    def register(derived: DerivedInstance) -> int:
        with database.transaction() as tx:
            return catalogue.add_derived(
                tx, analysis_id=analysis_id, study_id=study_id, derived=derived, path="a/b.dcm"
            )

    first = register(_derived())
    assert register(_derived()) == first
    second = register(_derived("2.25.2", DerivedKind.PDF))
    with database.read() as tx:
        rows = catalogue.derived_of_analysis(tx, analysis_id)
        found = catalogue.derived_by_uid(tx, "2.25.1")
        assert catalogue.derived_by_uid(tx, "2.25.3") is None
    assert [row.id for row in rows] == [first, second]
    assert found == rows[0]
    assert (rows[0].kind, rows[0].size_bytes) == ("sr", 5)
    assert rows[0].sha256 == hashlib.sha256(b"bytes").hexdigest()


def test_a_rejection_is_owed_to_whoever_has_the_result_and_not_the_rejection(
    database: Database, add_study: AddStudy, analysis: Analysis
) -> None:
    """Each destination by hand: what it took of a first result, its rejection, and a second result."""
    study_id = add_study(1)
    taken = {
        "nothing": (),
        "first": ("sr 1",),
        "first and its rejection": ("sr 1", "rejection"),
        "second": ("sr 2",),
        "both": ("sr 1", "sr 2"),
    }
    with database.transaction() as tx:
        first, second = (
            catalogue.add_analysis(tx, study_id, analysis, _context(number)) for number in (1, 2)
        )
        made = {
            name: catalogue.add_derived(
                tx,
                analysis_id=of,
                study_id=study_id,
                derived=_derived(f"2.25.{of}{kind.value}", kind),
                path=name,
            )
            for name, of, kind in (
                ("sr 1", first, DerivedKind.SR),
                ("rejection", first, DerivedKind.REJECTION),
                ("sr 2", second, DerivedKind.SR),
            )
        }
        for destination, names in taken.items():
            new = deliveries.NewDelivery(study_id=study_id, analysis_id=second, destination=destination)
            row = deliveries.add_delivery(tx, new)
            offered = {name: "success" for name in names} or {"sr 1": "refused"}
            for name, outcome in offered.items():
                deliveries.record_item(
                    tx,
                    row,
                    kind="sr",
                    derived_ref=made[name],
                    sop_class_uid="1.2",
                    sop_instance_uid=name,
                    outcome=outcome,
                )
        owed = {name: [row.path for row in deliveries.owed_rejections(tx, study_id, name)] for name in taken}
    assert owed == {name: ["rejection"] if name in ("first", "both") else [] for name in taken}


def test_events_are_told_in_order(database: Database) -> None:
    with database.transaction() as tx:
        audit.add_event(tx, "instance.stored", "stored from LUNAR", "1.2", {"n": 1, "uids": ["1.2"]})
        audit.add_event(tx, "node.started", "started")
        audit.add_event(tx, "study.done", "a\x00b", study_instance_uid="1.2")
        now = tx.now
    with database.read() as tx:
        first, last = audit.events_of_study(tx, "1.2")
        assert audit.events_of_study(tx, "1.3") == ()
        recent = audit.recent_events(tx, limit=2)
    assert (first.action, first.text, first.at) == ("instance.stored", "stored from LUNAR", now)
    assert first.data == {"n": 1, "uids": ["1.2"]}
    assert (last.text, last.data) == ("a\ufffdb", {})
    assert [event.action for event in recent] == ["study.done", "node.started"]


def test_an_event_is_rolled_back_with_what_it_tells(database: Database) -> None:
    def fail_late() -> None:
        with database.transaction() as tx:
            audit.add_event(tx, "study.done", "done")
            raise KeyError

    with pytest.raises(KeyError):
        fail_late()
    with database.read() as tx:
        assert audit.recent_events(tx) == ()


def _listed(database: Database, **chosen: object) -> list[str]:
    with database.read() as tx:
        rows = listing.list_studies(tx, StudyFilter(**chosen))  # type: ignore[arg-type]
    return [row.study.study_instance_uid for row in rows]


def test_studies_are_listed_newest_first_under_every_filter(database: Database, add_study: AddStudy) -> None:
    ids = [
        add_study(1, patient_id="P1", manufacturer="HOLOGIC"),
        add_study(2, patient_id="p10", manufacturer="GE_100%"),
        add_study(3, patient_id="Q_1", manufacturer="GE 100"),
    ]
    with database.transaction() as tx:
        for number, study_id in enumerate(ids):
            created = {"created_at": 100.0 * (number + 1)}
            tx.execute(sa.update(schema.study).where(schema.study.c.id == study_id).values(**created))
        catalogue.update_study(tx, ids[1], state=StudyState.DONE.value)
    assert _listed(database) == ["1.2.3", "1.2.2", "1.2.1"]
    assert _listed(database, limit=2) == ["1.2.3", "1.2.2"]
    assert _listed(database, limit=None) == ["1.2.3", "1.2.2", "1.2.1"]
    assert _listed(database, since=200.0) == ["1.2.3", "1.2.2"]
    assert _listed(database, until=200.0) == ["1.2.1"]
    assert _listed(database, state=StudyState.DONE) == ["1.2.2"]
    assert _listed(database, patient="P1") == ["1.2.1"]
    assert _listed(database, patient="p1*") == ["1.2.2", "1.2.1"]
    assert _listed(database, patient="P1?") == ["1.2.2"]
    assert _listed(database, patient="*_*") == ["1.2.3"]
    assert _listed(database, scanner="hologic") == ["1.2.1"]
    assert _listed(database, scanner="100%") == ["1.2.2"]
    assert _listed(database, patient="P1", state=StudyState.DONE) == []


def _deliver(database: Database, study_id: int, analysis_id: int, destination: str, state: str) -> None:
    with database.transaction() as tx:
        tx.add(
            schema.delivery,
            study_ref=study_id,
            analysis_ref=analysis_id,
            destination=destination,
            state=state,
            created_at=tx.now,
            updated_at=tx.now,
        )


def test_a_listed_study_shows_result_and_deliveries(
    database: Database, add_study: AddStudy, analysis: Analysis
) -> None:
    study_id, other = add_study(1), add_study(2)
    with database.transaction() as tx:
        catalogue.add_analysis(tx, study_id, replace(analysis, score=1.1), _context(1))
        newest = catalogue.add_analysis(tx, study_id, analysis, _context(2))
        catalogue.add_analysis(tx, study_id, replace(analysis, score=9.9), _context(2, reported=False))
    _deliver(database, study_id, newest, "pacs", "refused")
    _deliver(database, study_id, newest, "pacs", "sent")
    _deliver(database, study_id, newest, "archive", "queued")
    with database.read() as tx:
        empty, full = listing.list_studies(tx, StudyFilter())
        counted = listing.counts(tx)
    assert (empty.study.id, empty.result, empty.deliveries, empty.instances) == (other, None, (), 1)
    assert full.result is not None
    assert (full.result.score, full.result.status) == (1.25, AnalysisStatus.SCORED)
    assert full.deliveries == (("archive", DeliveryState.QUEUED), ("pacs", DeliveryState.SENT))
    assert full.patient.patient_id == "P1"
    assert counted.studies == {StudyState.RECEIVING: 2}
    assert counted.instances == 2
    assert counted.deliveries == {
        ("archive", DeliveryState.QUEUED): 1,
        ("pacs", DeliveryState.REFUSED): 1,
        ("pacs", DeliveryState.SENT): 1,
    }
