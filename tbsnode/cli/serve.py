"""``tbsnode serve``: receiver, workers and sender in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tbsnode.cli import options

if TYPE_CHECKING:
    from tbsnode.worker_slot import Make

ROLES = ("receive", "analyze", "deliver", "http")


def serve(
    *,
    only: Annotated[
        str, typer.Option(metavar="ROLES", help=f"Some of {','.join(ROLES)}; by default all.")
    ] = "",
    adopt_archive: Annotated[
        bool,
        typer.Option(
            "--adopt-archive", help="Start with another database's archive, or one that lost its files."
        ),
    ] = False,
    config: options.ConfigFile = None,
) -> None:
    """Receive, analyze and deliver until stopped (Ctrl-C or SIGTERM)."""
    roles = frozenset(name.strip() for name in only.split(",") if name.strip())
    if unknown := roles.difference(ROLES):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is no role. Roles: {', '.join(ROLES)}.")
    from tbsnode import config as configuration
    from tbsnode import supervisor
    from tbsnode.cli import logs

    path = configuration.find(config)
    loaded = configuration.load(path)
    logs.configure(level=loaded.logging.level, as_json=loaded.logging.as_json)
    code = supervisor.serve(loaded, roles, f"--config {path}", _load_http, adopt_archive=adopt_archive)
    raise typer.Exit(code)


def _load_http() -> Make:
    from tbsnode import http

    return lambda config, site, slot, listening: http.make(config, site)
