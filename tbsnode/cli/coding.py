"""``tbsnode coding``: which procedure codes fit what was reviewed."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tbsnode.cli import options, output

app = typer.Typer(help="The coding aid of this site.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keep `export` a command of its own: a group of one would lose its name."""


@app.command()
def export(
    *,
    since: Annotated[
        datetime | None,
        typer.Option(parser=options.moment, metavar="TIME", help="Reviewed at or after: 2026-03-01, 7d."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=options.moment, metavar="TIME", help="Reviewed before.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Where to; a file that is there stays. Default: the terminal."
        ),
    ] = None,
    config: options.ConfigFile = None,
) -> None:
    """Write the reviewed studies with the codes that fit, as CSV.

    Each study stands in it once, with its newest act. It holds patient IDs, and no other identity.
    """
    from tbsnode.pipeline import coding

    with options.site(config) as site:
        table = coding.export(
            site,
            since=since.timestamp() if since else None,
            until=until.timestamp() if until else None,
        )
    if target is None:
        typer.echo(table, nl=False)
        return
    # for its owner's eyes only: it says who was examined
    with os.fdopen(
        os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(table)
    typer.echo(f"{target}: {output.counted(table.count(chr(10)) - 1, 'study', 'studies')}.")
