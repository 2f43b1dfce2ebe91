"""What commands print: JSON or a table on standard output, progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tbsnode.cli.plain import plain
from tbsnode.pipeline.study_dates import local_time

if TYPE_CHECKING:
    from rich.progress import Progress

_PIPED_WIDTH = 1000  # never wrap for a program that reads lines
_TIMES = ("at", "deadline")


def is_time(name: str) -> bool:
    """Tell whether a field holds seconds since the epoch, by its name."""
    return name in _TIMES or name.endswith("_at")


def counted(number: int, one: str, several: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "study", "studies"), counted(0, "study", "studies")
    ('1 study', '0 studies')
    """
    return f"{number} {one if number == 1 else several}"


def as_json(value: object) -> None:
    """Print `value` as JSON; dataclasses, paths, times and enums included."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def rows(records: Sequence[Any], *, json_wanted: bool, empty: str, columns: Sequence[str] = ()) -> None:
    """Print frozen records of one kind: a JSON list, or a table with a column for each field.

    Parameters
    ----------
    records : sequence of dataclass instances
        May be empty.
    json_wanted : bool
        JSON has every field.
    empty : str
        What to say where there are none.
    columns : sequence of str
        Fields of the table; by default all.
    """
    if json_wanted:
        as_json(list(records))
    elif not records:
        typer.echo(empty)
    else:
        names = columns or [field.name for field in fields(records[0])]
        table(names, ([getattr(record, name) for name in names] for record in records))


def csv(record: type, records: Sequence[Any]) -> None:
    """Print frozen records of one kind as CSV (RFC 4180), a header line first; times in ISO 8601, UTC."""
    import csv as standard
    import io

    names = [field.name for field in fields(record)]
    written = io.StringIO()
    writer = standard.writer(written)
    writer.writerow(names)
    for one in records:
        writer.writerow([_csv_cell(name, getattr(one, name)) for name in names])
    typer.echo(written.getvalue(), nl=False)


def _csv_cell(name: str, value: object) -> object:
    """Return what a spreadsheet reads; a text is never taken for a formula."""
    if is_time(name) and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")
    if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
        return f"'{value}"
    return value.value if isinstance(value, Enum) else value


def table(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Print a table; through a pipe it is not wrapped."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        title = column.removesuffix("_at").replace("_", " ")
        drawn.add_column(title, overflow="fold", no_wrap=column.endswith("_uid"))
    for line in lines:
        cells = zip(columns, line, strict=True)
        drawn.add_row(*(Text(cell(value, time=is_time(name))) for name, value in cells))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(drawn)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def cell(value: object, *, time: bool = False) -> str:
    """Return a value as people read it; seconds since the epoch as local time with its offset."""
    if value is None:
        return ""
    if time and isinstance(value, int | float):
        return local_time(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple | list):
        return ", ".join(cell(part) for part in value)
    return plain(str(value))


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress bars on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as shown:
        yield shown
