"""Options that several commands have, and the configuration that `--config` names."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

if TYPE_CHECKING:
    from tbsnode.config import Config
    from tbsnode.pipeline.site import Site
    from tbsnode.store.listing import StudyFilter

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration; default $TBSNODE_CONFIG, ./tbsnode.toml, /etc/tbsnode/tbsnode.toml.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, every field, on standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]

_AGO = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_Command = TypeVar("_Command", bound=Callable[..., Any])


def moment(text: str) -> datetime:
    """Return the time that a date, a date and time, or an age such as ``2h`` or ``7d`` stands for.

    Raises
    ------
    typer.BadParameter
        If it is none of these.

    Examples
    --------
    >>> moment("2026-03-01T12:00:00+00:00").isoformat()
    '2026-03-01T12:00:00+00:00'
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time. Write 2026-03-01, 2026-03-01T12:00 or an age: 30m, 2h, 7d."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which studies a command is about; what is not given matches all."""

    since: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="Received at or after: 2026-03-01, 2h, 7d."),
    ] = None
    until: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Received before.")
    ] = None
    patient: Annotated[str, typer.Option(metavar="ID", help="Patient ID; * stands for anything.")] = ""
    state: Annotated[
        str, typer.Option(metavar="STATE", help="State of the study, as `study list` shows it.")
    ] = ""
    scanner: Annotated[str, typer.Option(metavar="TEXT", help="Part of the scanner's name.")] = ""

    @property
    def given(self) -> bool:
        """Whether any filter was given."""
        return any(getattr(self, field.name) for field in fields(self))

    def study_filter(self, *, limit: int | None = None) -> StudyFilter:
        """Return the filter as the catalogue takes it: at most `limit` studies, the newest.

        Raises
        ------
        typer.BadParameter
            If `state` is no state of a study.
        """
        from tbsnode.model import StudyState
        from tbsnode.store.listing import StudyFilter

        states = [state.value for state in StudyState]
        if self.state and self.state not in states:
            raise typer.BadParameter(f"{self.state!r} is no state of a study. States: {', '.join(states)}.")
        return StudyFilter(
            since=self.since.timestamp() if self.since else None,
            until=self.until.timestamp() if self.until else None,
            patient=self.patient or None,
            state=StudyState(self.state) if self.state else None,
            scanner=self.scanner or None,
            limit=limit,
        )


def unfold(command: _Command) -> _Command:
    """Let a command take options as one dataclass: each of its fields becomes an option."""
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if not is_dataclass(parameter.annotation):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        assert isinstance(parameter.annotation, type)
        groups[parameter.name] = parameter.annotation
        hints = get_type_hints(parameter.annotation, include_extras=True)
        parameters += [
            inspect.Parameter(
                f.name, inspect.Parameter.KEYWORD_ONLY, default=_default(f), annotation=hints[f.name]
            )
            for f in fields(parameter.annotation)
        ]

    @functools.wraps(command)
    def unfolded(**options: Any) -> Any:
        for name, group in groups.items():
            options[name] = group(**{f.name: options.pop(f.name) for f in fields(group)})
        return command(**options)

    unfolded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    unfolded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return unfolded  # type: ignore[return-value]


def _default(field: Field[Any]) -> object:
    return inspect.Parameter.empty if field.default is MISSING else field.default


def load(config_file: Path | None) -> Config:
    """Read the configuration; of the log, a command that ends by itself shows only our warnings."""
    from tbsnode import config
    from tbsnode.cli import logs

    logs.configure(level="warning", as_json=False, libraries="critical")
    return config.load(config_file)


@contextmanager
def site(config_file: Path | None) -> Iterator[Site]:
    """Open the site that the configuration describes; raises SchemaOutdated on an old database."""
    from tbsnode import node

    with node.open_site(load(config_file)) as opened:
        yield opened
