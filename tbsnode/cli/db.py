"""``tbsnode db``: the schema of the database, backup and proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbsnode.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tbsnode.config import Config

app = typer.Typer(
    help="Create, upgrade, back up and check the database.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def upgrade(*, config: options.ConfigFile = None) -> None:
    """Create what is missing in the database and run all migrations; safe to repeat."""
    from tbsnode import node

    loaded = options.load(config)
    before, _ = _revisions(loaded)
    node.upgrade(loaded, told=_say)
    after, _ = _revisions(loaded)
    typer.echo(f"Schema {after}: {'nothing to do' if before == after else 'upgraded'}.")


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def current(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Show which schema the database has, and which this version needs."""
    has, needs = _revisions(options.load(config))
    if as_json:
        output.as_json({"current": has, "needed": needs, "up_to_date": has == needs})
    elif has == needs:
        typer.echo(f"Schema {has}: up to date.")
    elif has is not None and has > needs:
        told = "made by a newer tbsnode. Install that version, or restore a backup."
        typer.echo(f"Schema {has}, this version needs {needs}: {told}")
    else:
        typer.echo(f"Schema {has or 'none'}, this version needs {needs}. Run `tbsnode db upgrade`.")


def _revisions(config: Config) -> tuple[str | None, str]:
    """Return the revision that the database has, and the one that this version needs."""
    from tbsnode.store.database import Database

    database = Database(config.database.url)
    try:
        return database.current_revision(), database.head_revision()
    finally:
        database.dispose()


# ---- backup -------------------------------------------------------------------------------------

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")]


@app.command()
def backup(folder: Folder, *, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Copy database and archive while the node runs; again, only what is new; exit 1 where files are lost."""
    from tbsnode.pipeline import backup as backups

    with options.site(config) as site, output.progress() as shown:
        made = backups.backup(site, folder, track=lambda files: shown.track(files, description="Copying"))
    if as_json:
        output.as_json(made)
    else:
        files = output.counted(made.files, "file", "files")
        typer.echo(f"Backed up the database and {files}, {made.copied} of them new, into {folder}.")
        typer.echo("It holds patient data: protect it as you protect the PACS.")
    if made.missing:
        for path in made.first_missing:
            typer.echo(f"{path} is missing or unreadable", err=True)
        files = output.counted(made.missing, "file", "files")
        typer.echo(f"{files} of the archive could not be read: not in this backup.", err=True)
        typer.echo(
            "Copy them from an earlier backup's archive folder, or `tbsnode study purge` those studies.",
            err=True,
        )
        raise typer.Exit(1)


@app.command()
def restore(folder: Folder, *, config: options.ConfigFile = None) -> None:
    """Put a backup into an empty database and archive, and bring the schema up to date."""
    from tbsnode import node
    from tbsnode.pipeline import backup as backups
    from tbsnode.store.database import Database

    loaded = options.load(config)
    database = Database(loaded.database.url)
    try:
        with output.progress() as shown:
            made = backups.restore(
                database,
                loaded.archive.path,
                folder,
                track=lambda files: shown.track(files, description="Restoring"),
            )
    finally:
        database.dispose()
    node.upgrade(loaded, idle=True, told=_say)  # it was empty: leases in it are those of the copied node
    typer.echo(f"Restored the database and {output.counted(made.files, 'file', 'files')}.")
    if made.missing:
        files = output.counted(made.missing, "file", "files")
        typer.echo(f"{files} had been lost before the backup: `tbsnode db verify` lists what is missing.")
    typer.echo("What was made before the backup and sent after it is sent again, under the same UIDs.")
    typer.echo(
        "What came after it is not here; measured again, its results have other UIDs than at the PACS."
    )
    typer.echo("`tbsnode db verify` checks every file.")


_MEND = (
    "Copy these files from archive/ of a backup, or let their sender send them again; "
    "a result (.sr.dcm, .pdf.dcm) is also at the PACS."
)
_OTHER = "This backup is not whole: keep an older one, and make a new one into an empty folder."


@app.command()
def verify(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A backup; by default the node's own archive.")
    ] = None,
    *,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Hold every file against the digest in its row; exit 1 where one is missing or changed."""
    from tbsnode.pipeline import backup as backups

    with output.progress() as shown:

        def track(files: Any) -> Iterable[Any]:
            return shown.track(files, description="Verifying")

        if folder is not None:
            faults = list(backups.verify_backup(folder, track=track))
        else:
            with options.site(config) as site:
                faults = list(backups.verify(site, track=track))
    if as_json:
        output.as_json({"faults": faults})
    else:
        for fault in faults:
            typer.echo(f"{fault.what}: {fault.path}")
        if not faults:
            typer.echo("Every file is what its row says.")
        else:
            typer.echo(
                f"{output.counted(len(faults), 'fault', 'faults')}. {_MEND if folder is None else _OTHER}"
            )
    if faults:
        raise typer.Exit(1)


@app.command()
def move(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The new database: postgresql+psycopg://user@host/name.")
    ],
    *,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the password of the new database.")
    ] = None,
    config: options.ConfigFile = None,
) -> None:
    """Copy every row into another, empty database, of the other kind or the same; stop the node first."""
    from tbsnode import node
    from tbsnode.config import with_database

    loaded = options.load(config)
    wanted = {"url": url} | ({"password_file": str(password_file)} if password_file else {})
    target = with_database(loaded, wanted, Path.cwd())
    typer.echo(f"Copied {output.counted(node.move(loaded, target, told=_told), 'row', 'rows')}.")
    typer.echo("Now enter the new url under [database] in the configuration, and start the node.")


def _told(table: str, rows: int) -> None:
    typer.echo(f"{table}: {rows}", err=True)
