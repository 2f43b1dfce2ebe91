"""queue: IDs or filters, several at once, a dry run that does nothing, CSV; never silently all."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from tbsnode import config as configuration
from tbsnode import node
from tbsnode.cli import output
from tbsnode.model import DeliveryState
from tbsnode.pipeline import acting
from tbsnode.store import audit, catalogue, deliveries, results, work
from tbsnode.store.queue import QueueFilter, QueueRow
from tests import desk_results


@pytest.fixture
def waiting(run: Any, run_json: Any, site_config: Path, instances: Path) -> tuple[Path, list[str]]:
    """Return a node with two studies that arrive, and a failed and a refused delivery of the spine."""
    run("study", "import", instances, "--config", site_config)
    listed = run_json("study", "list", "--patient", "CLI-1", "--config", site_config)
    uid = listed[0]["study_instance_uid"]
    with node.open_site(configuration.load(site_config)) as site, site.database.transaction() as tx:
        study = catalogue.study_by_uid(tx, uid)
        assert study is not None
        result = desk_results.add(tx, study.id)
        made = [
            deliveries.add_delivery(
                tx,
                deliveries.NewDelivery(
                    study_id=study.id, analysis_id=result, destination=name, state=DeliveryState.HELD
                ),
            )
            for name in ("pacs", "other")
        ]
        assert results.analysis_by_id(tx, result) is not None
    return site_config, [f"delivery/{number}" for number in made]


def ids(listed: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in listed]


def test_filters_restrict_and_several_combine(run_json: Any, waiting: tuple[Path, list[str]]) -> None:
    config, (pacs, other) = waiting

    def found(*filters: str) -> list[str]:
        return ids(run_json("queue", "list", *filters, "--config", config))

    assert set(found()) == {"study/1", "study/2", pacs, other}
    assert found("--destination", "pacs") == [pacs]
    assert found("--state", "held", "--destination", "other") == [other]
    assert found("--state", "receiving", "--destination", "other") == []
    assert len(found("--since", "1h")) == 4
    assert found("--until", "1h") == []
    assert found("--scanner", "no such scanner") == []
    uid = run_json("queue", "list", "--destination", "pacs", "--config", config)[0]["study_instance_uid"]
    assert len(found("--study", uid)) == 3, "the study itself and its deliveries"


@pytest.mark.parametrize("verb", ["list", "retry", "cancel"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--destination", "pasc"), "There is no destination pasc. There are: pacs, other."),
        (
            ("--queue", "pacs"),
            "There is no queue pacs. There are: analyze, report, deliver:pacs, deliver:other.",
        ),
        (("--study", "1.2.x"), "There is no study 1.2.x here. `tbsnode study list` shows those there are."),
        (("--study", "1.2.3.404"), "There is no study 1.2.3.404 here."),
    ],
)
def test_a_mistyped_filter_is_no_good_news(
    run: Any, waiting: tuple[Path, list[str]], verb: str, given: tuple[str, str], told: str
) -> None:
    result = run("queue", verb, *given, "--config", waiting[0])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert told in result.stderr


def test_work_and_pauses_of_a_destination_that_is_gone_can_be_named(
    run: Any, run_json: Any, waiting: tuple[Path, list[str]]
) -> None:
    config, (_, other) = waiting
    assert ids(run_json("queue", "list", "--queue", "deliver:other", "--config", config)) == [other]
    with node.open_site(configuration.load(config)) as site, site.database.transaction() as tx:
        work.pause(tx, "deliver:other", by="test")
        work.pause(tx, "deliver:empty", by="test")
    run("queue", "resume", "deliver:other", "deliver:empty", "--config", config)
    with node.open_site(configuration.load(config)) as site, site.database.read() as tx:
        assert work.paused_queues(tx) == ()
    assert run_json("queue", "cancel", "--destination", "other", "--config", config) == {"ids": [other]}
    ended = run_json("queue", "list", "--state", "cancelled", "--destination", "other", "--config", config)
    assert ids(ended) == [other]


def test_csv_has_a_header_and_every_field(run: Any, waiting: tuple[Path, list[str]]) -> None:
    config, (pacs, _) = waiting
    said = run("queue", "list", "--csv", "--destination", "pacs", "--config", config).stdout
    (row,) = csv.DictReader(io.StringIO(said))
    assert row["id"] == pacs
    assert row["state"] == "held"
    assert row["created_at"].endswith("+00:00")
    empty = run("queue", "list", "--csv", "--state", "failed", "--config", config).stdout
    assert empty.startswith("id,")


def test_a_text_is_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    row = QueueRow(
        id="study/1",
        queue="analyze",
        state="failed",
        tries=-1,
        next_try_at=None,
        reason="",
        last_error="=1+1",
        study_instance_uid="1.2",
        scanner="",
        created_at=0.0,
    )
    output.csv(QueueRow, [row])
    assert capsys.readouterr().out.splitlines()[1] == (
        "study/1,analyze,failed,-1,,,'=1+1,1.2,,1970-01-01T00:00:00+00:00"
    )


def test_retry_by_filter_and_nothing_in_a_dry_run(run_json: Any, waiting: tuple[Path, list[str]]) -> None:
    config, (pacs, other) = waiting
    dry = run_json("queue", "retry", "--destination", "pacs", "--dry-run", "--config", config)
    assert dry == {"ids": [pacs]}
    assert len(run_json("queue", "list", "--state", "held", "--config", config)) == 2
    assert run_json("queue", "retry", "--destination", "pacs", "--config", config) == {"ids": [pacs]}
    assert ids(run_json("queue", "list", "--state", "held", "--config", config)) == [other]
    assert ids(run_json("queue", "list", "--state", "queued", "--config", config)) == [pacs]


@pytest.mark.parametrize("act", ["retry", "cancel"])
def test_work_that_is_not_there_is_said(run: Any, waiting: tuple[Path, list[str]], act: str) -> None:
    config, (pacs, _) = waiting
    for dry in (("--dry-run",), ()):
        absent = run("queue", act, pacs, "delivery/9999", *dry, "--config", config)
        assert absent.exit_code == 2
        assert "There is no delivery/9999 here" in absent.output
    assert run("queue", "cancel", pacs, "--config", config).exit_code == 0, "nothing was done before"
    for dry in (("--dry-run",), ()):
        again = run("queue", "cancel", pacs, *dry, "--config", config)
        assert (again.exit_code, f"{pacs} does not wait" in again.output) == (0, True)


def test_cancel_by_filter_leaves_the_rest(run_json: Any, waiting: tuple[Path, list[str]]) -> None:
    config, (pacs, other) = waiting
    dry = run_json("queue", "cancel", "--state", "held", "--dry-run", "--config", config)
    assert dry == {"ids": [pacs, other]}
    assert run_json("queue", "cancel", "--destination", "other", "--config", config) == {"ids": [other]}
    assert set(ids(run_json("queue", "list", "--config", config))) == {"study/1", "study/2", pacs}


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_without_ids_and_filters_nothing_is_done(
    run: Any, run_json: Any, waiting: tuple[Path, list[str]], verb: str
) -> None:
    config, (pacs, _) = waiting
    before = run_json("queue", "list", "--config", config)
    for arguments in ((), (pacs, "--state", "held")):
        result = run("queue", verb, *arguments, "--config", config)
        assert result.exit_code == 2
        assert "Say which work is meant." in result.stderr
    assert run_json("queue", "list", "--config", config) == before


def test_pause_takes_several_and_a_dry_run_pauses_nothing(run: Any, waiting: tuple[Path, list[str]]) -> None:
    config, _ = waiting
    run("queue", "pause", "analyze", "deliver:pacs", "--dry-run", "--config", config)
    with node.open_site(configuration.load(config)) as site, site.database.read() as tx:
        assert work.paused_queues(tx) == ()
    assert run("queue", "pause", "analyze", "nosuch", "--config", config).exit_code == 2
    run("queue", "pause", "analyze", "deliver:pacs", "--config", config)
    with node.open_site(configuration.load(config)) as site, site.database.read() as tx:
        assert work.paused_queues(tx) == ("analyze", "deliver:pacs")
    run("queue", "resume", "analyze", "deliver:pacs", "--config", config)
    with node.open_site(configuration.load(config)) as site, site.database.read() as tx:
        assert work.paused_queues(tx) == ()


def test_who_looks_is_told_of_a_pause(run: Any, run_json: Any, waiting: tuple[Path, list[str]]) -> None:
    """By hand it stays until somebody resumes: everything looks well and nothing is done."""
    config, _ = waiting
    run("queue", "pause", "analyze", "--config", config)
    by = acting.administrator().login
    for looked in (("queue", "list"), ("queue", "list", "--json"), ("queue", "count")):
        told = run(*looked, "--config", config).stderr
        assert f"by {by}: nothing is taken from it. `tbsnode queue resume analyze` goes on." in told
    told = run("check", "--config", config)
    assert "FAIL  queue analyze: paused since " in told.stdout
    uid = run_json("study", "list", "--patient", "CLI-1", "--config", config)[0]["study_instance_uid"]
    with node.open_site(configuration.load(config)) as site, site.database.read() as tx:
        (event, *_) = audit.recent_events(tx, 10, audit.EventFilter(action="queue.paused"))
    assert event.text == f"{acting.who()} paused analyze"
    assert "the queue analyze is paused" in run("study", "trace", uid, "--config", config).stdout
    run("queue", "resume", "analyze", "--config", config)
    assert "paused" not in run("queue", "list", "--config", config).stderr


def test_a_destination_that_is_gone_is_told_and_not_retried(
    run: Any, waiting: tuple[Path, list[str]]
) -> None:
    config, (pacs, _) = waiting
    config.write_text(config.read_text().replace('name = "pacs"', 'name = "main"'))
    told = run("check", "--config", config).stdout
    assert "FAIL  queue deliver:pacs: 1 deliveries wait for pacs, which is no destination any more." in told
    refused = run("queue", "retry", pacs, "--config", config)
    assert refused.exit_code == 2
    assert f"{pacs} is for pacs, which is no destination any more." in refused.stderr


def test_a_destination_that_is_gone_keeps_nobody_from_retrying_the_rest(
    run_json: Any, waiting: tuple[Path, list[str]]
) -> None:
    """Only pacs is configured."""
    config, (pacs, _) = waiting
    for dry in (("--dry-run",), ()):
        assert run_json("queue", "retry", "--all", *dry, "--config", config) == {"ids": [pacs]}


def test_a_mistyped_state_is_no_good_news(run: Any, waiting: tuple[Path, list[str]]) -> None:
    config, _ = waiting
    result = run("queue", "list", "--state", "faild", "--config", config)
    assert result.exit_code == 2
    assert "There is no state faild." in result.stderr
    assert "failed" in result.stderr


def test_an_empty_filter_matches_all_and_a_part_of_a_name_its_scanner() -> None:
    row = QueueRow(
        id="delivery/1",
        queue="deliver:pacs",
        state="held",
        tries=0,
        next_try_at=None,
        reason="",
        last_error="",
        study_instance_uid="1.2",
        scanner="Example Model 1 77",
        created_at=100.0,
    )
    assert QueueFilter().matches(row)
    assert QueueFilter(scanner="MODEL").matches(row)
    assert QueueFilter(since=100.0, until=100.5).matches(row)
    assert not QueueFilter(until=100.0).matches(row)
    assert not QueueFilter(destination="pac").matches(row)


def test_what_is_in_quarantine_is_not_said_to_be_tried(
    run: Any, run_json: Any, waiting: tuple[Path, list[str]]
) -> None:
    config, (pacs, _) = waiting
    uid = run_json("queue", "list", "--destination", "pacs", "--config", config)[0]["study_instance_uid"]
    run("study", "quarantine", uid, "--config", config)
    refused = run("queue", "retry", pacs, "--config", config)
    assert (refused.exit_code, "is in quarantine" in refused.stderr) == (2, True)
    assert pacs not in run("queue", "retry", "--all", "--config", config).stdout
