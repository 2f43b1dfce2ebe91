"""What comes after the result and is no spine: a study settles, and keeps its result until it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tbsnode.model import Claim, InstanceIdentity, StudyState
from tbsnode.store import catalogue, readiness, schema, work
from tbsnode.store.database import Database
from tests.unit.store.conftest import IDENTITY, ORIGIN, AddStudy, kept
from tests.unit.store.test_work import arm, open_association, ready_in, take

HIP = replace(IDENTITY, sop_instance_uid="1.2.3.5", study_instance_uid="1.2.1", claim=Claim.OTHER)
REPORT = replace(HIP, sop_instance_uid="1.2.3.6", is_image=False, claim=Claim.SPINE)
SPINE = replace(HIP, sop_instance_uid="1.2.3.7", claim=Claim.SPINE)
SILENT = replace(HIP, sop_instance_uid="1.2.3.8", claim=Claim.SILENT)


def settling(database: Database, study_id: int) -> bool:
    with database.read() as tx:
        return readiness.is_settling(tx, study_id)


def end(database: Database, study_id: int, *, published: bool = True) -> None:
    """End a first generation."""
    arm(database, study_id)
    (ticket,) = take(database)
    with database.transaction() as tx:
        values: dict[str, Any] = {"status": "scored", "version": "0", "result": {}, "created_at": tx.now}
        tx.add(schema.analysis, study_ref=study_id, generation=1, published=published, **values)
        assert work.finish(tx, ticket, StudyState.DONE)


def arrive(database: Database, identity: InstanceIdentity, state: str = "current") -> None:
    with database.transaction() as tx:
        catalogue.add_instance(tx, identity, kept(identity, state), ORIGIN)


def test_before_its_result_a_study_does_not_settle(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    assert not settling(database, study_id)
    arm(database, study_id)
    assert not settling(database, study_id)
    (ticket,) = take(database)  # it has all there was; what comes now waits for the next time
    assert settling(database, study_id)
    with database.transaction() as tx:
        work.finish(tx, ticket, StudyState.NOT_APPLICABLE)
    assert not settling(database, study_id)  # nothing was published


@pytest.mark.parametrize(("late", "settles"), [(HIP, True), (REPORT, True), (SPINE, False), (SILENT, False)])
def test_only_what_may_be_a_spine_ends_it(
    database: Database, add_study: AddStudy, late: InstanceIdentity, settles: bool
) -> None:
    study_id = add_study(1)
    end(database, study_id)
    assert settling(database, study_id)
    arrive(database, late)
    assert settling(database, study_id) is settles


def test_a_conflict_of_pixels_ends_it(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    end(database, study_id)
    arrive(database, SPINE, "conflict")
    assert not settling(database, study_id)


def test_nothing_published_nothing_to_settle(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    end(database, study_id, published=False)
    assert not settling(database, study_id)


def test_a_settling_study_keeps_its_state_and_no_release_shortens_it(
    database: Database, add_study: AddStudy
) -> None:
    study_id = add_study(1)
    end(database, study_id)
    with database.transaction() as tx:
        readiness.settle(tx, study_id, ready_at=tx.now + 900)
    open_association(database, "a", study_id)
    with database.transaction() as tx:
        readiness.close_association(tx, "a", outcome="released", after_release_s=2)
    assert (ready_in(database, study_id) or 0) > 890
    with database.read() as tx:
        study = catalogue.study_by_id(tx, study_id)
    assert study is not None
    assert study.state is StudyState.DONE
    # a spine that comes meanwhile does not wait for the hip
    arrive(database, replace(SPINE))
    arm(database, study_id, in_s=30)
    with database.transaction() as tx:
        readiness.open_association(
            tx, readiness.OpenAssociation(id="a-1", receiver="r", caller="DXA", host="127.0.0.1")
        )
    with database.transaction() as tx:
        readiness.close_association(tx, "a-1", outcome="released", after_release_s=2)
    assert (ready_in(database, study_id) or 99) < 3


def test_a_restart_of_the_receiver_does_not_hurry_it(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    end(database, study_id)
    open_association(database, "a", study_id)
    with database.transaction() as tx:
        readiness.settle(tx, study_id, ready_at=tx.now + 900)
    with database.transaction() as tx:
        readiness.forget_associations(tx, receiver="r", quiet_s=30)
    assert (ready_in(database, study_id) or 0) > 890


def test_a_settled_study_is_taken_once(database: Database, add_study: AddStudy) -> None:
    study_id = add_study(1)
    end(database, study_id)
    for left_s in (900.0, 0.0):
        with database.transaction() as tx:
            readiness.settle(tx, study_id, ready_at=tx.now + left_s)
    assert len(take(database)) == 1
    assert take(database) == []
