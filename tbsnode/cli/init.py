"""``tbsnode init``: a commented configuration and the state folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from tbsnode.errors import ConfigError

_FILE_NAME = "tbsnode.toml"
_EXAMPLE = "tbsnode.example.toml"
_STATE = re.compile(r'^(state = "|url = "sqlite:///|path = ")state(["/])', re.MULTILINE)
_TABLE = re.compile(r"\[\[?[a-z_]+\]\]?$")
# what only the administrator of this site knows is written as a comment to be filled in: "#" and no
# blank before a key, so that it differs from a sentence
_TO_FILL_IN = ("[[destinations]]", "[[scanners]]")
_LISTS_TO_FILL_IN = ("callers", "reviewers")


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder for the configuration; made if missing.")
    ] = Path(),
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="State, database and archive elsewhere; the node's account makes it."
        ),
    ] = None,
) -> None:
    """Write a commented configuration in shadow mode, and the state folder. Overwrites nothing."""
    path = folder / _FILE_NAME
    if path.exists():
        raise ConfigError(f"{path} exists already.", remedy="Edit it, or name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    text = starting_point(example())
    if state is not None:  # who installs is often not who runs the node, and would own the folder
        text = with_state(text, state.absolute())
    else:
        (folder / "state").mkdir(mode=0o700, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    made = f" and {folder / 'state'}" if state is None else f"; its state goes to {state.absolute()}"
    typer.echo(f"Wrote {path} (shadow mode: everything runs, nothing is sent){made}.")
    option = "" if path.resolve() == (Path.cwd() / _FILE_NAME) else f" --config {path}"
    typer.echo(f"Next: enter your scanners (callers) and your PACS ([[destinations]]) in {path}, then run")
    typer.echo(f"  tbsnode db upgrade{option}\n  tbsnode check{option}\n  tbsnode serve{option}")


def with_state(text: str, state: Path) -> str:
    """Return a configuration with everything that the node writes in another folder.

    Parameters
    ----------
    text : str
        The configuration.
    state : Path
        The folder, absolute.

    Examples
    --------
    >>> with_state('path = "state/archive"', Path("/var/lib/tbsnode/state"))
    'path = "/var/lib/tbsnode/state/archive"'
    """
    written = json.dumps(str(state), ensure_ascii=False)[1:-1]  # as TOML writes it, without the quotes
    return _STATE.sub(lambda found: f"{found[1]}{written}{found[2]}", text)


def example() -> str:
    """Return the example configuration: from the installed package, or from the source tree."""
    package = Path(__file__).parents[1]
    places = (package / "_data" / _EXAMPLE, package.parent / "config" / _EXAMPLE)
    return next(place for place in places if place.is_file()).read_text(encoding="utf-8")


def starting_point(text: str) -> str:
    """Return the example as a site begins: shadow mode, and comments where it must fill in.

    Parameters
    ----------
    text : str
        The example configuration.
    """
    lines = []
    in_table = in_list = False
    for line in text.replace('mode = "live"', 'mode = "shadow"').splitlines():
        if _TABLE.fullmatch(line):
            in_table = line in _TO_FILL_IN
        starts_list = line.startswith(tuple(f"{name} = [" for name in _LISTS_TO_FILL_IN))
        in_list = in_list or starts_list
        is_comment = not line or line.startswith("#")
        lines.append(f"#{line}" if (in_table or in_list) and not is_comment else line)
        if in_list and line.endswith("]"):
            in_list = False
    return "\n".join(lines) + "\n"
