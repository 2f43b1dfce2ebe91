"""``tbsnode analyze``: images to numbers, without network and database.

Work is spread over processes that each compute on one thread, and results are gathered in the order
of the files, so that neither numbers nor order depend on how many there are.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import inputs, options, output
from tbsnode.errors import TbsNodeError
from tbsnode.pipeline import allocator

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from tbsnode.model import Analysis
    from tbsnode.pipeline.analyze import AnalysisSettings
    from tbsnode.tbs.calibration import Calibration

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_FEW = 4  # so many images are done before more processes have started

Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes; default: one a core.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is written, and where."""

    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write overlay, PDF and SR of each spine here."),
    ] = None
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a table, one row an image.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Research:
    """Provisional classes: only here, and only from a calibration."""

    research: Annotated[
        bool,
        typer.Option(
            "--research", help="Provisional texture classes, for research only; with --calibration."
        ),
    ] = False
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="As `calibration show --json` prints it; with --research."),
    ] = None

    def read(self) -> Calibration | None:
        """Return the calibration of the file, None where no research was asked for."""
        if self.research and self.calibration is None:
            raise typer.BadParameter(
                "Cut-offs belong to TBS and say nothing of a texture slope. Add --calibration FILE.",
                param_hint="--research",
            )
        if self.calibration is None:
            return None
        if not self.research:
            raise typer.BadParameter(
                "Outside the node nobody vouches for a calibration: what it gives is provisional. "
                "Add --research.",
                param_hint="--calibration",
            )
        from tbsnode.pipeline import research

        return research.read_calibration(self.calibration)


@dataclass(frozen=True, slots=True)
class Task:
    """One file and what to do with it."""

    path: Path
    settings: AnalysisSettings
    folder: Path | None
    research: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The results of one file, without its pixels, and what was written."""

    path: Path
    analyses: tuple[Analysis, ...]
    written: tuple[Path, ...]


@options.unfold
def analyze(
    paths: inputs.Paths,
    *,
    to: Written,
    as_json: options.AsJson = False,
    jobs: Jobs = None,
    wanted: Research,
    config: options.ConfigFile = None,
) -> None:
    """Measure images: a table, and with -o overlays and reports. Exit 1 where one was refused.

    The configuration only adds what it knows of scanners ([[scanners]]); without one, nothing is
    assumed.
    """
    for name in _THREADS:  # before anything loads a math library, here and in the children
        os.environ[name] = "1"
    calibration = wanted.read()
    found = inputs.files(paths)
    if to.folder is not None:
        to.folder.mkdir(parents=True, exist_ok=True)
    settings = _settings(config)
    tasks = [Task(path, settings, to.folder, calibration) for path in found]
    with _results(tasks, _processes(jobs, len(tasks))) as results, output.progress() as shown:
        done = list(shown.track(results, total=len(tasks), description="Analyzing"))
    pairs = [(str(one.path), analysis) for one in done for analysis in one.analyses]
    if to.csv is not None:
        from tbsnode.report import table

        to.csv.write_text(table.as_csv(pairs), encoding="utf-8")
    _print(pairs, as_json=as_json)
    if to.folder is not None and not as_json:
        written = sum(len(one.written) for one in done)
        typer.echo(f"{output.counted(written, 'file', 'files')} written to {to.folder}.")
    if any(analysis.status.value in ("refused", "error") for _, analysis in pairs):
        raise typer.Exit(1)


def _settings(config_file: Path | None) -> AnalysisSettings:
    from tbsnode import config as configuration
    from tbsnode.pipeline.analyze import AnalysisSettings

    now = datetime.now(UTC).replace(microsecond=0).astimezone()
    path = configuration.find(config_file)
    if path is None:
        return AnalysisSettings(made_at=now)
    from tbsnode import node

    rules = node.policy(configuration.load(path)).hint_rules
    if rules:
        typer.echo(f"Using what {path} says about scanners.", err=True)
    return AnalysisSettings(hint_rules=rules, made_at=now)


def _processes(jobs: int | None, files: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = jobs if jobs is not None else cores if files > _FEW else 1
    return min(wanted, files)


@contextmanager
def _results(tasks: list[Task], processes: int) -> Iterator[Iterator[Done]]:
    """Yield the results in the order of the tasks, as they come; a fault costs one file, not the run."""
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from multiprocessing import get_context

    pool: Executor
    if processes == 1:
        allocator.keep_freed_memory()
        pool = ThreadPoolExecutor(1)
    else:
        pool = ProcessPoolExecutor(
            processes,
            mp_context=get_context("spawn"),
            initializer=_start_worker,
        )
    try:
        futures = [pool.submit(work, task) for task in tasks]
        yield (_done(task, future) for task, future in zip(tasks, futures, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the command; a worker ends with its file
    allocator.keep_freed_memory()


def _done(task: Task, future: Future[Done]) -> Done:
    fault = future.exception()
    if fault is None:
        return future.result()
    if isinstance(fault, TbsNodeError | OSError):  # not this file's: the folder, the disk
        raise fault
    from tbsnode.pipeline import analyze as pipeline

    typer.echo(f"{task.path}: a fault of tbsnode itself: {type(fault).__name__}", err=True)
    return Done(task.path, (pipeline.failed(task.settings),), ())


def work(task: Task) -> Done:
    """Analyze one file and write what was asked for; runs in a child process."""
    from tbsnode.pipeline import analyze as pipeline

    results = pipeline.analyze_file(task.path, task.settings)
    if task.research is not None:
        from tbsnode.pipeline import research

        results = tuple(
            replace(each, analysis=research.provisional(each.analysis, task.research)) for each in results
        )
    written: list[Path] = []
    if task.folder is not None:
        from tbsnode.pipeline import files

        for result in results:
            written += files.write_files(result, task.folder, settings=task.settings)
    return Done(task.path, tuple(result.analysis for result in results), tuple(written))


def _print(pairs: list[tuple[str, Analysis]], *, as_json: bool) -> None:
    if as_json:
        from tbsnode.report import table

        output.as_json({"results": [table.as_json(analysis, file) for file, analysis in pairs]})
        return
    columns = ("file", "status", "score", "L1", "L2", "L3", "L4", "class", "notes")
    output.table(columns, [_line(file, analysis) for file, analysis in pairs])
    _say_provisional(pairs)
    if any(analysis.score is not None for _, analysis in pairs):
        typer.echo("score: texture slope of the included levels; it is not TBS and has no risk category.")


def _say_provisional(pairs: list[tuple[str, Analysis]]) -> None:
    """Print what is provisional apart from the table, under its banner."""
    from tbsnode import text
    from tbsnode.report.result_box import provisional

    found = [(file, analysis.provisional) for file, analysis in pairs if analysis.provisional is not None]
    if not any(analysis.research for _, analysis in pairs):
        return
    typer.echo(f"\n{text.phrase('research_banner')}")
    for file, made in found:
        typer.echo(f"{file}: {provisional(made)}")
    typer.echo(text.phrase("research_limits"))


def _line(file: str, analysis: Analysis) -> tuple[object, ...]:
    from tbsnode import text

    scores = {v.label: v for v in analysis.vertebrae}
    levels = [
        _level(scores[label].score, scores[label].included) if label in scores else ""
        for label in ("L1", "L2", "L3", "L4")
    ]
    codes = ", ".join(dict.fromkeys(finding.code.value for finding in analysis.findings))
    notes = f"{analysis.reason.code.value}: {text.sentence(analysis.reason)}" if analysis.reason else codes
    name = file if analysis.frame == 0 else f"{file} (frame {analysis.frame})"
    return (name, analysis.status, analysis.score, *levels, analysis.input_class, notes)


def _level(score: float | None, included: bool) -> str:
    """Return one level's score, in parentheses where it does not count."""
    if score is None:
        return ""
    return f"{score:.3f}" if included else f"({score:.3f})"
