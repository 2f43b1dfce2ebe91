"""Rows of what was received, also when two receivers bring it at once."""

from __future__ import annotations

import json
import multiprocessing
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tbsnode.model import Claim, Demographics, InstanceIdentity, Scanner, StudyState
from tbsnode.store import audit, catalogue, fit, identity_json, schema
from tbsnode.store.catalogue import KeptFile, Origin
from tbsnode.store.database import Database
from tbsnode.store.records import InstanceRow


def _kept(number: int = 1, state: str = "current") -> KeptFile:
    return KeptFile(path=f"a/{number}.dcm", size_bytes=10, data_set_sha256=f"{number:064d}", state=state)


ORIGIN = Origin(calling_ae_title="LUNAR", host="192.0.2.10", association_id="a-1")


def _add(database: Database, identity: InstanceIdentity, number: int = 1) -> InstanceRow:
    with database.transaction() as tx:
        return catalogue.add_instance(tx, identity, _kept(number), ORIGIN)


def _counts(database: Database) -> list[int]:
    with database.read() as tx:
        return [
            tx.scalar(sa.select(sa.func.count()).select_from(table))
            for table in (schema.patient, schema.study, schema.series, schema.instance)
        ]


def test_an_instance_brings_its_patient_study_and_series(
    database: Database, identity: InstanceIdentity
) -> None:
    added = _add(database, identity)
    with database.read() as tx:
        (found,) = catalogue.find_instances(tx, identity.sop_instance_uid)
        study = catalogue.study_by_uid(tx, identity.study_instance_uid)
        assert study is not None
        patient = catalogue.patient_of_study(tx, study.id)
        assert study == catalogue.study_by_id(tx, added.study_ref)
        series = tx.one(sa.select(schema.series))
    assert found == added
    assert found.identity == identity
    assert (found.version, found.state, found.path) == (1, "current", "a/1.dcm")
    assert (found.calling_ae_title, found.host, found.association_id) == ("LUNAR", "192.0.2.10", "a-1")
    assert (study.state, study.ready_at, study.generation) == (StudyState.RECEIVING, None, 0)
    assert (study.scanner, study.study_date) == ("Example Densitometer 1 77", "20261101")
    assert study.accession_number == "A1"
    assert (patient.patient_id, patient.name, patient.birth_date) == ("P1", "Muster^Änne", "19500101")
    assert series is not None
    assert (series.series_instance_uid, series.modality) == ("1.2.3.1", "OT")


def test_further_instances_join(database: Database, identity: InstanceIdentity) -> None:
    first = _add(database, identity)
    second = _add(database, replace(identity, sop_instance_uid="1.2.3.5"), 2)
    _add(database, replace(identity, sop_instance_uid="1.2.3.6", series_instance_uid="1.2.3.2"), 3)
    assert _counts(database) == [1, 1, 2, 3]
    assert second.study_ref == first.study_ref
    with database.read() as tx:
        arrived = catalogue.instances_of_study(tx, first.study_ref)
    assert [row.sop_instance_uid for row in arrived] == ["1.2.3.4", "1.2.3.5", "1.2.3.6"]


def test_the_same_uid_gets_versions_and_states(database: Database, identity: InstanceIdentity) -> None:
    first = _add(database, identity)
    corrected = replace(identity, demographics=replace(identity.demographics, name="Muster^Anna"))
    second = _add(database, corrected, 2)
    with database.transaction() as tx:
        catalogue.set_instance_state(tx, first.id, "superseded")
    with database.read() as tx:
        rows = catalogue.find_instances(tx, identity.sop_instance_uid)
        current = catalogue.instances_of_study(tx, first.study_ref, ["current"])
    assert [(row.version, row.state) for row in rows] == [(1, "superseded"), (2, "current")]
    assert current == (second,)
    assert current[0].identity.demographics.name == "Muster^Anna"


def test_the_first_header_stays_until_a_corrected_one_is_followed(
    database: Database, identity: InstanceIdentity
) -> None:
    study_id = _add(database, identity).study_ref
    corrected = replace(
        identity,
        accession_number="A2",
        demographics=replace(identity.demographics, patient_id="P2", name="Muster^Anna"),
    )
    _add(database, corrected, 2)
    with database.read() as tx:
        assert catalogue.patient_of_study(tx, study_id).patient_id == "P1"
    with database.transaction() as tx:
        catalogue.follow_identity(tx, study_id, corrected)
    with database.read() as tx:
        patient = catalogue.patient_of_study(tx, study_id)
        study = catalogue.study_by_id(tx, study_id)
    assert (patient.patient_id, patient.name) == ("P2", "Muster^Anna")
    assert study is not None
    assert study.accession_number == "A2"


def test_the_same_patient_id_of_two_issuers_is_two_patients(
    database: Database, identity: InstanceIdentity
) -> None:
    _add(database, identity)
    elsewhere = replace(identity.demographics, issuer="Elsewhere")
    other = replace(identity, sop_instance_uid="1.9.1", study_instance_uid="1.9", demographics=elsewhere)
    _add(database, other, 2)
    assert _counts(database)[:2] == [2, 2]


def test_update_study(database: Database, identity: InstanceIdentity) -> None:
    row = _add(database, identity)
    with database.transaction() as tx:
        catalogue.update_study(tx, row.study_ref, state=StudyState.HELD.value, reason="x" * 99)
    with database.read() as tx:
        study = catalogue.study_by_id(tx, row.study_ref)
    assert study is not None
    assert study.state is StudyState.HELD
    assert len(study.reason) <= 40
    assert study.updated_at >= study.created_at


def test_what_is_not_there_is_none(database: Database) -> None:
    with database.read() as tx:
        assert catalogue.study_by_uid(tx, "1.2") is None
        assert catalogue.study_by_id(tx, 1) is None
        assert catalogue.find_instances(tx, "1.2") == ()
        assert catalogue.instances_of_study(tx, 1) == ()


def test_a_header_that_breaks_the_rules_is_kept_whole(database: Database, identity: InstanceIdentity) -> None:
    """Too long for a column, NUL, half a surrogate pair: both databases take it, nothing merges."""
    odd = replace(
        identity,
        study_date="2026-11-01T00:00:00+00:00",
        accession_number="9" * 100,
        study_description="a\x00b\ud800c",
        demographics=replace(identity.demographics, patient_id="1" * 70 + "A", name="x\x00y"),
    )
    row = _add(database, odd)
    _add(database, replace(odd, sop_instance_uid="1.2.3.5"), 2)
    twin = replace(odd.demographics, patient_id="1" * 70 + "B")
    _add(
        database,
        replace(odd, sop_instance_uid="1.9.1", study_instance_uid="1.9", demographics=twin),
        3,
    )
    with database.read() as tx:
        assert catalogue.find_instances(tx, odd.sop_instance_uid)[0].identity == odd
        study = catalogue.study_by_id(tx, row.study_ref)
    assert study is not None
    assert study.description == "a\ufffdb\ufffdc"
    assert _counts(database) == [2, 2, 2, 3]


def _receive(database: Database, identity: InstanceIdentity, worker: int, instances: int) -> None:
    for number in range(instances):
        uid = f"1.2.3.{worker}.{number}"
        series_uid = f"1.2.3.{number % 2}"
        one = replace(identity, sop_instance_uid=uid, series_instance_uid=series_uid)
        with database.transaction() as tx:
            assert catalogue.find_instances(tx, uid) == ()
            catalogue.add_instance(tx, one, _kept(), ORIGIN)
            audit.add_event(tx, "instance.stored", "stored", identity.study_instance_uid)


def test_eight_threads_bring_one_study(database: Database, identity: InstanceIdentity) -> None:
    threads = [threading.Thread(target=_receive, args=(database, identity, worker, 5)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _counts(database) == [1, 1, 2, 40]


def _receive_in_process(url: str, identity: InstanceIdentity, worker: int, instances: int) -> None:
    database = Database(url)
    _receive(database, identity, worker, instances)
    database.dispose()


def test_two_processes_bring_one_study(database: Database, identity: InstanceIdentity) -> None:
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=_receive_in_process, args=(database.url, identity, worker, 25))
        for worker in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert _counts(database) == [1, 1, 2, 50]


def test_one_uid_from_eight_receivers_at_once_is_stored_once(
    database: Database, identity: InstanceIdentity
) -> None:
    """Looking and adding in one write transaction is one act."""
    barrier = threading.Barrier(8)
    added = []

    def receive(study_uid: str) -> None:
        one = replace(identity, study_instance_uid=study_uid)
        barrier.wait()
        with database.transaction() as tx:
            if not catalogue.find_instances(tx, identity.sop_instance_uid):
                added.append(catalogue.add_instance(tx, one, _kept(), ORIGIN))

    threads = [threading.Thread(target=receive, args=(f"1.2.{number % 3}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(added) == 1
    assert _counts(database) == [1, 1, 1, 1]


texts = st.text(max_size=8)
sizes = st.none() | st.floats(0.1, 300)
identities = st.builds(
    InstanceIdentity,
    sop_class_uid=texts,
    sop_instance_uid=texts,
    study_instance_uid=texts,
    series_instance_uid=texts,
    transfer_syntax_uid=texts,
    demographics=st.builds(Demographics, patient_id=texts, name=texts, height_m=sizes, weight_kg=sizes),
    scanner=st.builds(Scanner, manufacturer=texts, institution_name=texts),
    order_codes=st.lists(texts, max_size=3).map(tuple),
    rows=st.integers(0, 5000),
    claim=st.sampled_from(Claim),
    is_image=st.booleans(),
)


@given(identities)
def test_an_identity_survives_json(identity: InstanceIdentity) -> None:
    assert identity_json.from_json(json.loads(json.dumps(identity_json.to_json(identity)))) == identity


def test_an_identity_of_another_version_still_reads(identity: InstanceIdentity) -> None:
    older = identity_json.to_json(identity)
    del older["order_codes"], older["demographics"]["weight_kg"], older["scanner"], older["claim"]
    read = identity_json.from_json({**older, "unheard_of": 1})
    assert read.order_codes == ()
    assert read.demographics.weight_kg is None
    assert read.scanner == Scanner()
    assert read.claim is Claim.SILENT


@given(st.text(min_size=30, max_size=90), st.text(min_size=30, max_size=90))
def test_fitted_texts_fit_and_stay_different(one: str, other: str) -> None:
    a, b = fit.text(one, 40), fit.text(other, 40)
    assert max(len(a), len(b)) <= 40
    assert (a == b) == (fit.text(one) == fit.text(other))


def test_a_short_column_is_cut() -> None:
    assert fit.text("x" * 20, 16) == "x" * 16


@pytest.mark.parametrize("stored", ["", "a", "Ännë", "漢字"])
def test_what_fits_is_untouched(stored: str) -> None:
    assert fit.text(stored, 64) == stored
