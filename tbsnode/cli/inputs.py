"""The files that a command was given: paths as typed, folders with everything below them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from tbsnode.errors import NotFound

Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", exists=True, help="Files, and folders with all that lies below."),
]


def files(paths: Iterable[Path]) -> list[Path]:
    """Return every file of `paths` in an order that does not depend on the file system.

    Raises
    ------
    NotFound
        If there is not one file.
    """
    found: list[Path] = []
    for path in paths:
        found += _below(path) if path.is_dir() else [path]
    if not found:
        raise NotFound("There is no file in what was named.", remedy="Name a file or a folder with files.")
    return found


def _below(folder: Path) -> list[Path]:
    return sorted(Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
