"""Find the file, lay the environment over it, validate both, and report every mistake at once."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tbsnode.config import mistakes
from tbsnode.config.sections import Config, Database
from tbsnode.errors import InvalidConfiguration, Mistake

PATH_VARIABLE = "TBSNODE_CONFIG"
OVERRIDE_PREFIX = "TBSNODE__"
SEARCH_PATHS = (Path("tbsnode.toml"), Path("/etc/tbsnode/tbsnode.toml"))


def find(path: Path | None = None) -> Path | None:
    """Return the configuration file: `path`, else $TBSNODE_CONFIG, else the first that exists.

    Returns
    -------
    Path or None
        Absolute; None where none was named and none exists. A named file need not exist.
    """
    named = path or (Path(os.environ[PATH_VARIABLE]) if os.environ.get(PATH_VARIABLE) else None)
    if named is not None:
        with suppress(RuntimeError):  # no such home folder: no such file either
            named = named.expanduser()
        return named.absolute()
    return next((place.absolute() for place in SEARCH_PATHS if _may_be_there(place)), None)


def _may_be_there(place: Path) -> bool:
    """Tell whether to read this one; one that we may not look at says so when it is read.

    A folder that is closed to us and that we only happen to stand in (root's home, under sudo) has none.
    """
    try:
        return place.is_file()
    except PermissionError:
        return place.is_absolute()


def load(path: Path | None = None) -> Config:
    """Read the configuration.

    Parameters
    ----------
    path : Path, optional
        The file; by default the one that `find` returns.

    Returns
    -------
    Config
        Frozen; relative paths and the SQLite URL are resolved against the file's folder.

    Raises
    ------
    InvalidConfiguration
        With every mistake of file and environment.
    """
    found = find(path)
    if found is None:
        places = ", ".join(str(place) for place in SEARCH_PATHS)
        raise InvalidConfiguration(
            "No configuration was found.",
            mistakes=(
                Mistake("", "", f"Looked for --config, ${PATH_VARIABLE}, {places}.", "Run `tbsnode init`."),
            ),
        )
    raw = _read(found)
    origins = _override(raw, os.environ)
    for name, field in Config.model_fields.items():
        if isinstance(field.default, BaseModel):
            raw.setdefault(name, {})  # so that its defaults are resolved like written values
    try:
        config = Config.model_validate(raw, context={"folder": found.parent})
        wrong: list[tuple[mistakes.Location, Mistake]] = []
    except ValidationError as error:
        wrong = list(mistakes.of_validation(error, Config))
    wrong += mistakes.across(raw)
    if wrong:
        raise InvalidConfiguration(
            f"{_counted(len(wrong))} in {found}:",
            mistakes=tuple(_with_origin(location, mistake, origins) for location, mistake in wrong),
        )
    return config


def with_database(config: Config, wanted: dict[str, str], folder: Path) -> Config:
    """Return a configuration with another database.

    Parameters
    ----------
    config : Config
        Everything else.
    wanted : dict of str to str
        Keys of ``[database]``.
    folder : Path
        Where relative paths begin.

    Raises
    ------
    InvalidConfiguration
        With the mistakes in `wanted`.
    """
    try:
        made = Database.model_validate(wanted, context={"folder": folder})
    except ValidationError as error:
        found = tuple(mistake for _, mistake in mistakes.of_validation(error, Database))
        raise InvalidConfiguration("The other database is not named rightly:", mistakes=found) from None
    return config.model_copy(update={"database": made})


def _counted(number: int) -> str:
    return "1 mistake" if number == 1 else f"{number} mistakes"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows editors begin with a mark
    except FileNotFoundError:
        problem, remedy = "the file does not exist.", "Name an existing one, or run `tbsnode init`."
    except OSError as error:
        problem, remedy = f"the file cannot be read ({error.strerror}).", "Check its owner and permissions."
    except UnicodeDecodeError:
        problem, remedy = "the file is not UTF-8 text.", "Save it as UTF-8."
    except tomllib.TOMLDecodeError as error:
        problem, remedy = f"this is not TOML: {error}.", "Correct that line; texts need quotes."
    raise InvalidConfiguration(
        f"The configuration {path} cannot be read:", mistakes=(Mistake("", "", problem, remedy),)
    )


def _override(raw: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Lay ``TBSNODE__SECTION__KEY`` over `raw`; return which key came from which variable."""
    origins: dict[tuple[str, ...], str] = {}
    for variable in sorted(environment):
        if not variable.startswith(OVERRIDE_PREFIX):
            continue
        keys = tuple(part.lower() for part in variable.removeprefix(OVERRIDE_PREFIX).split("__"))
        table: dict[str, Any] = raw
        for key in keys[:-1]:
            inner = table.setdefault(key, {})
            if isinstance(inner, list):  # no variable names a row of it: reported as a table
                inner = table[key] = {}
            if not isinstance(inner, dict):  # a value where a table belongs: reported as written
                break
            table = inner
        else:
            table[keys[-1]] = _typed(environment[variable], _field(keys))
            origins[keys] = variable
    return origins


def _field(keys: tuple[str, ...]) -> FieldInfo | None:
    section = Config.model_fields.get(keys[0])
    if len(keys) == 1 or section is None:
        return section
    model = section.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        return next((f for name, f in model.model_fields.items() if (f.alias or name) == keys[1]), None)
    return None


def _typed(text: str, field: FieldInfo | None) -> object:
    """Return the value that `text` stands for: a JSON or TOML literal, else the text itself."""
    value = _literal(text)
    is_text = isinstance(value, str)
    wants_text = field is not None and field.annotation in (str, Path)
    return text if wants_text and not is_text else value


def _literal(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _with_origin(
    location: mistakes.Location, mistake: Mistake, origins: Mapping[tuple[str, ...], str]
) -> Mistake:
    names = tuple(str(part) for part in location)
    for keys, variable in origins.items():
        if names[: len(keys)] == keys:
            problem = f"(from ${variable}) {mistake.problem}"
            return Mistake(mistake.key, mistake.value, problem, mistake.remedy)
    return mistake
