"""A bounded run of `scripts/fuzz` with a fixed seed: no crash, no hang, no thread and no file left."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests import peers
from tests.fuzz import associations, run
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import CORPUS, Target, opened

FILES, CALLS = 250, 10


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of refusals need no lines, and a damaged file may well be warned of."""
    logging.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def broken(tally: run.Tally) -> list[str]:
    return tally.crashes + tally.hangs


def test_damaged_files_break_nothing(tmp_path: Path) -> None:
    tally, threads = run.Tally(), threading.active_count()
    with opened(tmp_path) as targets:
        run.run(targets, seed=5, kept=tmp_path / "kept", go_on=lambda count: count < FILES, tally=tally)
        assert tally.executions.total() == FILES + sum(len(target.corpus) for target in targets)
    assert broken(tally) == []
    assert threading.active_count() == threads


def test_damaged_associations_break_nothing(tmp_path: Path) -> None:
    tally, before = run.Tally(), set(threading.enumerate())
    folder = tmp_path / "receivers"
    associations.run(folder, seed=5, kept=tmp_path / "kept", go_on=lambda count: count < CALLS, tally=tally)
    assert tally.executions["associations"] == associations.CALLERS * CALLS
    assert broken(tally) == []
    peers.wait_until(lambda: set(threading.enumerate()) <= before, "the threads of the receivers to end")


def test_a_crash_and_a_hang_are_seen(tmp_path: Path) -> None:
    """The drivers themselves: a target that raises, and one that never ends."""

    def never_ends(_: bytes) -> None:
        while True:
            pass

    def never_answers(_: bytes) -> None:
        time.sleep(60)

    def divides(data: bytes) -> None:
        1 / len(data)

    tally = run.Tally()
    run.once(Target("hangs", (), never_ends, limit_s=0.05), b"x", tally, tmp_path)
    run.once(Target("waits", (), never_answers, limit_s=0.01), b"x", tally, tmp_path)
    run.once(Target("fails", (), divides), b"", tally, tmp_path)
    run.once(Target("fails", (), divides), b"", tally, tmp_path)  # said once
    run.once(Target("works", (), divides), b"x", tally, tmp_path)
    assert (len(tally.hangs), len(tally.crashes)) == (2, 1)
    assert "ZeroDivisionError" in tally.crashes[0]
    assert tally.executions.total() == 5


def test_chance_can_be_repeated_and_the_corpus_is_small() -> None:
    data = (CORPUS / "part10" / "spine.dcm").read_bytes()
    assert mutated(data, Random(3)) == mutated(data, Random(3)) != data
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 1_000_000
