"""``tbsnode serve``: receiver, workers and sender in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from tbsnode.cli import options

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
    role: Annotated[str, typer.Option(hidden=True, help="Be one child process.")] = "",
    slot: Annotated[int, typer.Option(hidden=True)] = 0,
    listen: Annotated[list[int] | None, typer.Option(hidden=True)] = None,
) -> None:
    """Receive, analyze and deliver until stopped (Ctrl-C or SIGTERM)."""
    roles = frozenset(name.strip() for name in only.split(",") if name.strip())
    unknown = roles.union({role} if role else ()).difference(ROLES)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is no role. Roles: {', '.join(ROLES)}.")
    from tbsnode import config as configuration
    from tbsnode import supervisor
    from tbsnode.cli import logs

    path = configuration.find(config)
    loaded = configuration.load(path)
    logs.configure(level=loaded.logging.level, as_json=loaded.logging.as_json)
    if role == "http":
        from tbsnode import http

        raise typer.Exit(supervisor.run_child(loaded, role, slot, http.make))
    if role:
        raise typer.Exit(supervisor.run_child(loaded, role, slot, listen=listen or ()))
    assert path is not None, "load raises where nothing was found"
    raise typer.Exit(supervisor.serve(path, loaded, roles, adopt_archive=adopt_archive))
