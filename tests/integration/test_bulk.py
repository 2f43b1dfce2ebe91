"""Many studies again: fed in portions, resumed after a kill, nothing twice; comparisons change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbsnode import engine
from tbsnode.dicom import acquisition
from tbsnode.errors import InvalidResult
from tbsnode.pipeline import bulk, operate, shadow
from tbsnode.pipeline.site import Site
from tbsnode.store import work
from tbsnode.store.bulk import Compared, ItemState
from tests import desk, nodes, peers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[list[Path]]:
    """Draw three studies, once."""
    folder = tmp_path_factory.mktemp("drawn")
    found = []
    for number in (1, 2, 3):
        patient = acquisition.PatientTags(patient_id=f"BULK-{number}", name="Canary^Zoe")
        made = acquisition.study(
            "display", patient=patient, seed=7, options=acquisition.Options(small=True, anatomy_seed=7)
        )
        found.append(nodes.write(folder / str(number), made, "display"))
    return found


@pytest.fixture
def office(tmp_path: Path, drawn: list[list[Path]]) -> Iterator[tuple[desk.Desk, list[str]]]:
    """Open a node with three analyzed studies; their results wait for a destination that is away."""
    nowhere = nodes.Destination("pacs", "NOBODY", peers.free_port())
    with desk.desk(nodes.Node(tmp_path / "node", peers.free_port(), [nowhere])) as open_desk:
        operate.queue_pause(open_desk.site, ["deliver:pacs"])
        yield open_desk, [open_desk.take(paths) for paths in drawn]


def analyze(at: desk.Desk, site: Site | None = None) -> None:
    """Do the analyses that are due, and leave deliveries alone."""
    with at.site.database.transaction() as tx:
        tickets = work.take_due(tx, limit=100)
    for ticket in tickets:
        if ticket.kind == "study":
            engine.perform(site or at.site, ticket)


def newer(site: Site) -> Site:
    """Return the node as a version of tomorrow, which leaves nothing out."""
    changed = replace(site.policy.parameters, exclusion_policy="none", lag_max_mm=4.0)
    return replace(site, policy=replace(site.policy, version="9.9", parameters=changed))


def tables(at: desk.Desk, uid: str) -> dict[str, Any]:
    """Return all that a comparison must leave as it was."""
    study = at.ledger.study(uid)
    return {
        "study": {name: study[name] for name in ("state", "reason", "review_state", "ready_at")},
        "deliveries": at.ledger.deliveries(uid),
        "made": at.ledger.made(uid),
        "reported": [row for row in at.ledger.analyses(uid) if row["reported"]],
    }


def test_a_run_is_fed_in_portions_to_its_end(office: tuple[desk.Desk, list[str]]) -> None:
    at, uids = office
    run = bulk.begin(at.site, uids, shadow=False)
    assert bulk.known(at.site, run).counts == {ItemState.WAITING: 3}
    fed = bulk.feed(at.site, run, at_once=2)
    assert fed.counts == {ItemState.ASKED: 2, ItemState.WAITING: 1}
    assert bulk.feed(at.site, run, at_once=2).counts == fed.counts, "two are at work: no more"
    analyze(at)
    assert bulk.feed(at.site, run, at_once=2).counts == {ItemState.DONE: 2, ItemState.ASKED: 1}
    analyze(at)
    ended = bulk.feed(at.site, run, at_once=2)
    assert (ended.ended, ended.total) == (3, 3)
    assert [at.ledger.study(uid)["generation"] for uid in uids] == [2, 2, 2]
    summary, studies = bulk.comparison(at.site, run)
    assert (summary.changed, summary.failed, summary.difference_median) == (0, 0, 0.0)
    assert [one.study_instance_uid for one in studies] == uids


def test_resumed_after_a_kill_nothing_is_done_twice(office: tuple[desk.Desk, list[str]]) -> None:
    """The first command dies after it asked for one study; two others go on at once."""
    at, uids = office
    run = bulk.begin(at.site, uids, shadow=False)
    bulk.feed(at.site, run, at_once=1)
    analyze(at)  # the worker lives on
    for _ in range(3):
        bulk.feed(at.site, bulk.known(at.site).id)
        bulk.feed(at.site, run)
        analyze(at)
    assert bulk.feed(at.site, run).counts == {ItemState.DONE: 3}
    assert [at.ledger.study(uid)["generation"] for uid in uids] == [2, 2, 2]
    assert [len(at.ledger.deliveries(uid)) for uid in uids] == [1, 1, 1], "nothing changed, nothing sent"


def test_a_comparison_changes_nothing_and_tells_what_would(office: tuple[desk.Desk, list[str]]) -> None:
    at, uids = office
    before = [tables(at, uid) for uid in uids]
    run = bulk.begin(at.site, uids, shadow=True)
    bulk.feed(at.site, run)
    analyze(at, newer(at.site))
    assert bulk.feed(at.site, run).counts == {ItemState.DONE: 3}
    assert [tables(at, uid) for uid in uids] == before
    summary, studies = bulk.comparison(at.site, run)
    assert (summary.sent, summary.changed, summary.compared) == (False, 3, 3)
    for uid, one in zip(uids, studies, strict=True):
        old, new = at.ledger.analyses(uid)
        assert (old["score"], new["score"]) == (one.score_before, one.score_after)
        assert (new["reported"], new["published"], new["shadow"]) == (0, 0, 1)
        assert one.version_after == "9.9"
        assert one.difference is not None
        assert abs(one.difference) > 1e-4, "other lags give another slope"
        assert "study.compared" in at.ledger.actions(uid)
    assert summary.difference_p5 <= summary.difference_median <= summary.difference_p95  # type: ignore[operator]
    (listed,) = [one for one in operate.study_list(at.site, every()) if one.study_instance_uid == uids[0]]
    assert listed.score == studies[0].score_before, "what was sent stays the current one"


def every() -> Any:
    from tbsnode.store.listing import StudyFilter

    return StudyFilter()


def test_the_same_version_compares_as_unchanged(office: tuple[desk.Desk, list[str]]) -> None:
    at, uids = office
    run = bulk.begin(at.site, uids[:1], shadow=True)
    bulk.feed(at.site, run)
    analyze(at)
    bulk.feed(at.site, run)
    summary, (one,) = bulk.comparison(at.site, run)
    assert (summary.changed, one.difference) == (0, 0.0)


def test_after_a_comparison_an_ordinary_generation_is_ordinary(office: tuple[desk.Desk, list[str]]) -> None:
    at, uids = office
    run = bulk.begin(at.site, uids[:1], shadow=True)
    bulk.feed(at.site, run)
    analyze(at, newer(at.site))
    operate.reprocess(at.site, uids[:1])
    analyze(at, newer(at.site))
    rows = at.ledger.analyses(uids[0])
    assert [(row["generation"], row["reported"], row["shadow"]) for row in rows] == [
        (1, 1, 0),
        (2, 0, 1),
        (3, 1, 0),
    ]
    assert len(at.ledger.deliveries(uids[0])) == 2, "the changed result is sent"


def test_what_arrives_before_the_comparison_began_takes_its_place(
    office: tuple[desk.Desk, list[str]],
) -> None:
    at, uids = office
    run = bulk.begin(at.site, uids[:1], shadow=True)
    bulk.feed(at.site, run)
    operate.ready(at.site, uids[0])  # as an arrival does
    analyze(at)
    assert bulk.feed(at.site, run).counts == {ItemState.OVERTAKEN: 1}
    assert [row["shadow"] for row in at.ledger.analyses(uids[0])] == [0, 0]


def test_a_comparison_waits_for_a_study_that_is_due(office: tuple[desk.Desk, list[str]]) -> None:
    at, uids = office
    operate.ready(at.site, uids[0])
    run = bulk.begin(at.site, uids[:1], shadow=True)
    assert bulk.feed(at.site, run).counts == {ItemState.WAITING: 1}
    analyze(at)
    assert bulk.feed(at.site, run).counts == {ItemState.ASKED: 1}


def test_a_comparison_that_fails_leaves_the_study_as_it_was(
    office: tuple[desk.Desk, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, uids = office
    before = tables(at, uids[0])

    def broken(*_: object) -> None:
        raise InvalidResult("The SR failed its own check.")

    monkeypatch.setattr(shadow, "_try_to_make", broken)
    run = bulk.begin(at.site, uids[:1], shadow=True)
    bulk.feed(at.site, run)
    analyze(at)
    assert bulk.feed(at.site, run).counts == {ItemState.FAILED: 1}
    after = tables(at, uids[0])
    assert after == before
    _, (one,) = bulk.comparison(at.site, run)
    assert "failed its own check" in one.last_error


def test_taken_out_of_the_queue_it_ends(office: tuple[desk.Desk, list[str]]) -> None:
    at, uids = office
    run = bulk.begin(at.site, uids[:1], shadow=False)
    bulk.feed(at.site, run)
    operate.queue_cancel(at.site, [f"study/{at.ledger.study(uids[0])['id']}"])
    assert bulk.feed(at.site, run).counts == {ItemState.CANCELLED: 1}


def test_the_preview_counts_and_estimates(office: tuple[desk.Desk, list[str]]) -> None:
    at, uids = office
    seen = bulk.estimate(at.site, uids)
    assert (seen.studies, seen.signed, seen.rejected) == (3, 0, 0)
    assert seen.seconds is not None
    assert 0 < seen.seconds < 60
    with at.site.database.transaction() as tx:
        from tbsnode.store import catalogue

        catalogue.update_study(tx, at.ledger.study(uids[0])["id"], review_state="signed")
    assert bulk.estimate(at.site, uids).signed == 1


def test_percentiles_by_hand() -> None:
    assert bulk.percentile([], 0.5) is None
    assert bulk.percentile([1.0], 0.05) == 1.0
    assert bulk.percentile([0.0, 1.0, 2.0, 3.0, 4.0], 0.25) == 1.0
    assert bulk.percentile([0.0, 10.0], 0.95) == pytest.approx(9.5)


def test_no_patient_in_what_is_listed() -> None:
    assert not {"patient_id", "name", "patient"} & set(Compared.__dataclass_fields__)
