"""``tbsnode db``: the schema of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tbsnode.cli import options, output

if TYPE_CHECKING:
    from tbsnode.config import Config

app = typer.Typer(help="Create and upgrade the database.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def upgrade(*, config: options.ConfigFile = None) -> None:
    """Create what is missing in the database and run all migrations; safe to repeat."""
    from tbsnode import node

    loaded = options.load(config)
    before, _ = _revisions(loaded)
    node.upgrade(loaded)
    after, _ = _revisions(loaded)
    typer.echo(f"Schema {after}: {'nothing to do' if before == after else 'upgraded'}.")


@app.command()
def current(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Show which schema the database has, and which this version needs."""
    has, needs = _revisions(options.load(config))
    if as_json:
        output.as_json({"current": has, "needed": needs, "up_to_date": has == needs})
    elif has == needs:
        typer.echo(f"Schema {has}: up to date.")
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
