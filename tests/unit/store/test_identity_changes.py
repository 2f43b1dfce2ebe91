"""Rows of identity, quarantine, paused refusals and reconciling, on both databases."""

from __future__ import annotations

from dataclasses import replace

from tbsnode.model import DeliveryState, InstanceIdentity
from tbsnode.model.stated_identity import StatedIdentity
from tbsnode.store import catalogue, deliveries, identity_changes, purge, reconcile
from tbsnode.store.database import Database
from tests import desk_results
from tests.unit.store.conftest import ORIGIN, AddStudy, kept

ME = identity_changes.Actor(login="admin", host="node1")


def test_the_newest_identity_counts(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        assert identity_changes.stated_of(tx, study_id) is None
        for patient_id in ("P2", "P3"):
            stated = StatedIdentity(patient_id=patient_id, name="Müller^Änne")
            identity_changes.add_change(tx, study_id, stated, "merge", ME)
        assert identity_changes.stated_of(tx, study_id) == StatedIdentity(patient_id="P3", name="Müller^Änne")


def test_what_differs(identity: InstanceIdentity) -> None:
    assert StatedIdentity().differences(identity) == ()
    assert StatedIdentity(patient_id="P1", sex="F").differences(identity) == ()
    assert StatedIdentity(patient_id="P2", sex="", accession_number="A1").differences(identity) == (
        "patient_id",
        "sex",
    )


def test_patients_with_studies(database: Database, add_study: AddStudy) -> None:
    for number, patient_id in ((1, "P1"), (2, "P2"), (3, "P1")):
        add_study(number, patient_id)
    with database.read() as tx:
        (known,) = identity_changes.patients(tx, "P1")
        assert identity_changes.study_uids(tx, known.id) == ("1.2.1", "1.2.3")
        assert identity_changes.patients(tx, "P1", "OTHER") == ()
        assert identity_changes.patients(tx, "P9") == ()


def test_quarantine_is_a_row(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        assert not identity_changes.is_set_aside(tx, study_id)
        assert identity_changes.set_aside(tx, study_id, ME)
        assert not identity_changes.set_aside(tx, study_id, ME)
        assert identity_changes.is_set_aside(tx, study_id)
        assert identity_changes.release(tx, study_id)
        assert not identity_changes.release(tx, study_id)


def test_a_long_name_of_a_scanner_is_one_scanner(database: Database) -> None:
    first, second = "A" * 300, "A" * 299 + "B"
    with database.transaction() as tx:
        identity_changes.pause_refusals(tx, first, "REPORT_PAGE", 20)
        identity_changes.pause_refusals(tx, first, "REPORT_PAGE", 20)
        assert identity_changes.is_paused(tx, first)
        assert not identity_changes.is_paused(tx, second)
        assert len(identity_changes.refusal_pauses(tx)) == 1
        assert identity_changes.resume_refusals(tx, first)
        assert not identity_changes.resume_refusals(tx, first)


def test_held_work_is_let_go(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        made = desk_results.add(tx, study_id)
        new = deliveries.NewDelivery(study_id=study_id, analysis_id=made, destination="pacs")
        row = deliveries.add_delivery(tx, new)
        purge.void_work(tx, study_id, "QUARANTINED")
        held = deliveries.delivery_of(tx, row)
        assert (held["state"], held["reason"], held["next_try_at"]) == ("held", "QUARANTINED", None)
        assert held["attempt"] == 1, "a ticket that is out is void"
        purge.let_go(tx, study_id, "IDENTITY_CHANGED", held_for="", horizon_s=10.0)
        assert deliveries.delivery_of(tx, row)["state"] == DeliveryState.HELD.value
        purge.let_go(tx, study_id, "QUARANTINED", held_for="SHADOW_MODE", horizon_s=10.0)
        assert deliveries.delivery_of(tx, row)["reason"] == "SHADOW_MODE"
        purge.let_go(tx, study_id, "SHADOW_MODE", held_for="", horizon_s=10.0)
        due = deliveries.delivery_of(tx, row)
        assert (due["state"], due["next_try_at"], due["deadline"]) == ("queued", tx.now, tx.now + 10.0)


def test_a_deleted_study_leaves_its_neighbor(database: Database, add_study: AddStudy) -> None:
    gone, stays = add_study(1, "P1"), add_study(2, "P1")
    with database.transaction() as tx:
        for study_id in (gone, stays):
            made = desk_results.add(tx, study_id)
            new = deliveries.NewDelivery(study_id=study_id, analysis_id=made, destination="pacs")
            deliveries.add_delivery(tx, new)
            identity_changes.add_change(tx, study_id, StatedIdentity(patient_id="P1"), "merge", ME)
        assert len(purge.content_of(tx, gone).paths) == 1
        purge.delete_study(tx, gone)
        assert catalogue.study_by_id(tx, gone) is None
        assert len(identity_changes.patients(tx, "P1")) == 1
        assert len(deliveries.deliveries_of_study(tx, stays)) == 1
        purge.delete_study(tx, stays)
        assert identity_changes.patients(tx, "P1") == ()


def test_what_scanners_sent(database: Database, identity: InstanceIdentity) -> None:
    def one(number: int, modality: str, station: str) -> InstanceIdentity:
        scanner = replace(identity.scanner, station_name=station)
        uid = f"1.2.{number}"
        return replace(
            identity,
            study_instance_uid=uid,
            series_instance_uid=f"{uid}.1",
            sop_instance_uid=f"{uid}.4",
            modality=modality,
            scanner=scanner,
        )

    with database.transaction() as tx:
        for number, modality, station, state, fetched in (
            (1, "OT", "DXA1", "current", False),
            (2, "CR", "", "current", False),
            (3, "SR", "TBSNODE", "own", False),
            (4, "BMD", "DXA9", "current", True),
        ):
            made = one(number, modality, station)
            origin = replace(ORIGIN, fetched=fetched)
            catalogue.add_instance(tx, made, kept(made, state), origin)
        found = reconcile.sources(tx)
        assert (found.modalities, found.stations) == ({"OT", "CR"}, {"DXA1"})
        assert reconcile.here(tx, ["1.2.1", "1.2.3", "1.2.9"]) == {"1.2.1"}


def test_what_a_destination_took(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    with database.transaction() as tx:
        assert reconcile.published(tx, "20261101", "20261101", "pacs") == ()
        made = desk_results.add(tx, study_id)
        (never,) = reconcile.published(tx, "20261101", "20261102", "pacs")
        assert (never.state, never.taken) == ("", ())
        deliveries.add_delivery(
            tx, deliveries.NewDelivery(study_id=study_id, analysis_id=made, destination="pacs")
        )
        (waits,) = reconcile.published(tx, "20261101", "20261102", "pacs")
        assert (waits.state, waits.taken) == ("queued", ())
        assert reconcile.published(tx, "20261102", "20261103", "pacs") == ()
