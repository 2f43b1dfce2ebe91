"""``tbsnode study accept``, ``correct`` and ``reject``: what a reading physician does to a result."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options, output

if TYPE_CHECKING:
    from tbsnode.pipeline.acts import Outcome

Uid = Annotated[str, typer.Argument(metavar="UID", help="Study Instance UID.")]
_WHY = "Why, in your own words; goes into the report."
Comment = Annotated[str, typer.Option(metavar="TEXT", help=_WHY)]
# what a trial shows needs no reason yet, so the option alone cannot ask for one
CommentUnlessDry = Annotated[str, typer.Option(metavar="TEXT", help=f"{_WHY} Needed, except with --dry-run.")]

_ROW = re.compile(r"(\w+/\w+)=(\d+(?:\.\d+)?)")
_DONE = {"accept": "Signed", "correct": "Corrected and signed", "reject": "Rejected"}
AUTOMATIC = "auto"


class Level(StrEnum):
    """A level of the lumbar spine."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"


class Reason(StrEnum):
    """Why a result is withdrawn."""

    QUALITY = "quality"
    SAFETY = "safety"
    WORKLIST = "worklist"


def disc_row(text: str) -> tuple[str, float]:
    """Read a disc line and its row.

    Raises
    ------
    typer.BadParameter
        If it is none.

    Examples
    --------
    >>> disc_row("L2/L3=143.5")
    ('L2/L3', 143.5)
    """
    found = _ROW.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no disc line with its row. Write L2/L3=143.5.")
    return found[1], float(found[2])


def accept(
    uid: Uid,
    *,
    comment: Comment = "",
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Sign the result of a study as it is; only logins listed under [interpretation] reviewers may."""
    from tbsnode.pipeline import sign

    with options.site(config) as site:
        done = sign.accept(site, uid, comment=comment, dry_run=dry_run)
    _say(done, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What is to be measured otherwise."""

    exclude: Annotated[list[Level] | None, typer.Option(help="Leave a level out.")] = None
    disc: Annotated[
        list[str] | None, typer.Option(metavar="L2/L3=ROW", help="Move a disc line to this row [pixels].")
    ] = None
    shift: Annotated[int, typer.Option(min=-1, max=1, help="Move all labels: +1 down, -1 up.")] = 0
    image: Annotated[
        str, typer.Option(metavar="SOPUID", help="Report this image; auto: the automatic choice.")
    ] = ""

    @property
    def image_uid(self) -> str | None:
        """The wanted image; empty for the automatic choice, None for what stands."""
        return {"": None, AUTOMATIC: ""}.get(self.image, self.image)


@options.unfold
def correct(
    uid: Uid,
    *,
    wanted: Correction,
    comment: CommentUnlessDry = "",
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Measure a study again with corrections and sign that; they replace all earlier corrections."""
    from tbsnode.model import Corrections
    from tbsnode.pipeline import sign

    corrections = Corrections(
        exclude=tuple(sorted({level.value for level in wanted.exclude or ()})),
        disc_rows=tuple(sorted(dict(disc_row(each) for each in wanted.disc or ()).items())),
        shift=wanted.shift,
    )
    with options.site(config) as site:
        done = sign.correct(
            site, uid, corrections, image_uid=wanted.image_uid, comment=comment, dry_run=dry_run
        )
    _say(done, as_json=as_json)


def reject(
    uid: Uid,
    *,
    reason: Annotated[Reason, typer.Option(help="Poor quality, a danger to the patient, or a wrong entry.")],
    comment: Comment,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Withdraw the result of a study; every destination that has it is told, and it never leaves again."""
    from tbsnode.model import RejectionReason
    from tbsnode.pipeline import reject as withdraw

    with options.site(config) as site:
        done = withdraw.reject(site, uid, RejectionReason(reason.value), comment=comment)
    _say(done, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Put the three acts into a command group."""
    for command in (accept, correct, reject):
        app.command()(command)


def _say(done: Outcome, *, as_json: bool) -> None:
    """Show what was signed or withdrawn beside what stood before."""
    from tbsnode.pipeline.changes import told

    if as_json:
        output.as_json(done)
        return
    what = "Nothing was written; this would be signed" if done.dry_run else _DONE[done.action.value]
    typer.echo(f"{what}: version {done.version}, {done.name} ({done.login} on {done.host})")
    now, before = told(done.result), told(done.before or {})
    if done.action.value == "reject":
        output.table(("", "withdrawn"), ([_title(name), value] for name, value in now.items()))
        typer.echo("It is never sent again, never an earlier examination, never a calibration pair.")
        return
    names = dict.fromkeys([*now, *before])  # each once, in the order in which they are told
    # what was declared is long: it is shown only where it differs
    same = [name for name in names if name == "clinical" and before.get(name) == now.get(name)]
    lines = ([_title(name), before.get(name, ""), now.get(name, "")] for name in names if name not in same)
    output.table(("", "before", "now"), lines)
    remarks = sorted({f["code"] for f in done.result["findings"] if f["severity"] != "info"})
    typer.echo(f"findings: {', '.join(remarks) or 'none'}")


def _title(name: str) -> str:
    return {"tbs": "TBS", "score": "texture slope"}.get(name, name)
