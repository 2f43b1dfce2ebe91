"""Feed damaged bytes to every target and count what happens: executions, crashes, hangs, threads, memory."""

from __future__ import annotations

import faulthandler
import hashlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target


class Hang(BaseException):
    """The target took longer than it may; no `except Exception` swallows it."""


@dataclass
class Tally:
    """What a run did.

    Attributes
    ----------
    executions : Counter
        By target.
    crashes, hangs : list of str
        The target, the seed and the traceback of each, one of a kind.
    """

    executions: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def crashed(self, target: Target, data: bytes, kept: Path) -> None:
        """Keep the input and the traceback, once a place."""
        last = traceback.extract_tb(_current().__traceback__)[-1]
        place = f"{target.name} {type(_current()).__name__} {last.filename}:{last.lineno}"
        into = self.hangs if isinstance(_current(), Hang) else self.crashes
        if place not in self._seen:
            self._seen.add(place)
            self._keep(into, data, kept, target.name, f"\n{traceback.format_exc()}")

    def broke(self, what: str, why: str, data: bytes, kept: Path) -> None:
        """Keep what an association did, once a reason."""
        into = self.hangs if what == "hang" else self.crashes
        if why.split(":")[0] not in self._seen:
            self._seen.add(why.split(":")[0])
            self._keep(into, data, kept, "associations", f": {why}")

    @staticmethod
    def _keep(into: list[str], data: bytes, kept: Path, what: str, why: str) -> None:
        """Write down at once what happened: the run may be broken off before it prints it."""
        kept.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(data).hexdigest()[:12]
        (kept / name).write_bytes(data)
        into.append(f"{what} {name}{why}")
        (kept / f"{name}.txt").write_text(into[-1])


def _current() -> BaseException:
    error = sys.exc_info()[1]
    assert error is not None
    return error


def _late(_: int, __: FrameType | None) -> None:
    raise Hang


def once(target: Target, data: bytes, tally: Tally, kept: Path) -> None:
    """Feed one input, under the target's time limit (main thread only)."""
    tally.executions[target.name] += 1
    # of processor time: a busy desk is no hang; and of the clock, because who waits uses none
    signal.signal(signal.SIGPROF, _late)
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_PROF, target.limit_s)
    signal.setitimer(signal.ITIMER_REAL, 12 * target.limit_s)
    try:
        target.feed(data)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        tally.crashed(target, data, kept)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def run(
    targets: Sequence[Target], *, seed: int, kept: Path, go_on: Callable[[int], bool], tally: Tally
) -> None:
    """Feed inputs as long as `go_on` says so; the whole corpus comes first, undamaged."""
    dice = Random(seed)
    for target in targets:
        for data in target.corpus:
            once(target, data, tally, kept)
    shares = [target.share for target in targets]
    count = 0
    while go_on(count):
        count += 1
        target = dice.choices(targets, shares)[0]
        data = mutated(dice.choice(target.corpus), dice, other=dice.choice(target.corpus))
        once(target, data, tally, kept)


def resident_mb() -> float:
    """Return the memory that this process holds now [MB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(argv: Sequence[str]) -> int:
    """Run for some minutes and print what came out; 1 where something broke."""
    import argparse
    import resource
    import tempfile
    import warnings

    from tests.fuzz import associations
    from tests.fuzz.targets import opened

    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="of the chance")
    parser.add_argument("--only", choices=("files", "associations"), help="one half only")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="where what broke it is kept")
    asked = parser.parse_args(argv)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # a huge announced length fails, not the desk
    faulthandler.enable()
    logging.disable()
    warnings.simplefilter("ignore")
    tally, half_s = Tally(), asked.minutes * 60.0 / (1 if asked.only else 2)
    trail: list[tuple[float, float, int]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("files", "associations"):
            if asked.only in (None, name):
                ends = time.monotonic() + half_s
                watched = _Watched(ends, trail, tally)
                if name == "files":
                    with opened(Path(scratch)) as targets:
                        run(targets, seed=asked.seed, kept=asked.keep, go_on=watched, tally=tally)
                else:
                    folder = Path(scratch) / "receivers"
                    associations.run(folder, seed=asked.seed, kept=asked.keep, go_on=watched, tally=tally)
                watched.print(name)
    print(f"executions {tally.executions.total()}, crashes {len(tally.crashes)}, hangs {len(tally.hangs)}")
    for each in (*tally.crashes, *tally.hangs):
        print(f"\n{each}")
    return 1 if tally.crashes or tally.hangs else 0


class _Watched:
    """Says whether there is time left, and takes a look at threads and memory now and then."""

    def __init__(self, ends: float, trail: list[tuple[float, float, int]], tally: Tally) -> None:
        self.ends, self.tally, self.began = ends, tally, time.monotonic()
        self.marks: list[tuple[float, int, float, int]] = []
        self.due = 0.0

    def __call__(self, count: int) -> bool:
        """Return True while there is time."""
        now = time.monotonic()
        if now >= self.due:
            self.due = now + max(10.0, (self.ends - self.began) / 20)
            self._look()
        return now < self.ends

    def _look(self) -> None:
        import gc

        gc.collect()
        done = self.tally.executions.total()
        mark = (time.monotonic() - self.began, done, resident_mb(), threading.active_count())
        self.marks.append(mark)
        found = f"crashes {len(self.tally.crashes)} hangs {len(self.tally.hangs)}"
        print(
            f"{mark[0]:7.0f} s {mark[1]:9d} executions {mark[2]:7.0f} MB {mark[3]:4d} threads {found}",
            flush=True,
        )

    def print(self, name: str) -> None:
        """Print what this half did."""
        self._look()
        print(
            f"{name}: " + ", ".join(f"{key} {value}" for key, value in sorted(self.tally.executions.items()))
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
