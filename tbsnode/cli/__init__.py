"""The command line: one command group a file, and one place that turns errors into exit texts.

Exit codes: 0 done; 1 at least one image refused or in error, or a fault of this program; 2 usage;
10 configuration, 20 instance, 30 analysis, 40 resource, 50 peer: the command itself could not run.

Modules of this package import what is heavy inside the command that needs it: help must be instant.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from types import TracebackType
from typing import Any

import typer
from typer.core import TyperGroup

from tbsnode import __version__
from tbsnode.cli import (
    analyze,
    audit,
    calibration,
    check,
    clinical,
    coding,
    conformance,
    db,
    demo,
    identity,
    init,
    patient,
    peer,
    precision,
    queue,
    reconcile,
    retention,
    serve,
    study,
    wording,
)
from tbsnode.errors import ResourceError, TbsNodeError

__all__ = ["app", "main"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_TRACEBACK_VARIABLE = "TBSNODE_TRACEBACK"


class Commands(TyperGroup):
    """All commands; whatever one of them raises ends here, as a text and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except TbsNodeError as error:
            raise _exit(error) from error
        except KeyboardInterrupt as error:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(_INTERRUPTED) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # `tbsnode study list | head`: nobody reads on
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(0) from error
            where = f"{error.filename}: " if error.filename else ""
            raise _exit(ResourceError(f"{where}{error.strerror or error}.")) from error


def _exit(error: TbsNodeError) -> typer.Exit:
    """Say what happened, to what, and what to do; return the exit of the error's class."""
    typer.echo(f"Error: {error}", err=True)
    return typer.Exit(error.exit_code)


app = typer.Typer(
    cls=Commands,
    name="tbsnode",
    help="Receive DXA studies, measure the texture of L1-L4, send SR and PDF back to the PACS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tbsnode {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Receive DXA studies, measure the texture of L1-L4, send SR and PDF back to the PACS."""


for command in (init.init, check.check, serve.serve, demo.demo, analyze.analyze):
    app.command()(command)
study.app.command("text")(wording.study_text)
identity.register(study.app)
study.app.command("reconcile")(reconcile.reconcile)
app.add_typer(study.app, name="study")
app.add_typer(queue.app, name="queue")
app.add_typer(peer.app, name="peer")
app.add_typer(calibration.app, name="calibration")
app.add_typer(precision.app, name="precision")
app.add_typer(coding.app, name="coding")
app.add_typer(clinical.app, name="clinical")
app.add_typer(patient.app, name="patient")
app.add_typer(db.app, name="db")
app.add_typer(audit.app, name="audit")
app.add_typer(retention.app, name="retention")
app.command()(conformance.conformance)


def main() -> None:
    """Run the command line of this process."""
    sys.excepthook = _unexpected
    typer.main.get_command(app).main(prog_name="tbsnode")  # app() would set a hook of its own


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report a fault of this program without its values: they might name a patient."""
    if os.environ.get(_TRACEBACK_VARIABLE):
        traceback.print_exception(kind, error, trace)
        return
    frames = traceback.extract_tb(trace)
    last = frames[-1] if frames else None
    where = f" at {os.path.basename(last.filename)}:{last.lineno}" if last else ""
    typer.echo(
        f"Error: a fault of tbsnode {__version__} itself: {kind.__name__}{where}. "
        f"Please report it, with the traceback that {_TRACEBACK_VARIABLE}=1 prints.",
        err=True,
    )
