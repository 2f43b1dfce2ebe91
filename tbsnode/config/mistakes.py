"""Turn what is wrong with a configuration into words: key, value, problem, remedy.

Values of secrets are never quoted: a key that is named like a secret shows none, and a database URL
shows its password as ``***``.
"""

from __future__ import annotations

import difflib
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from tbsnode.errors import Mistake

_SECRET = re.compile(r"password(?!_file)|secret|token|passphrase", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^:/@]*):.*@")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_LONGEST_VALUE = 60
_EXPECTED = {
    "bool": ("true or false is needed.", "Write true or false, without quotes."),
    "int": ("a whole number is needed.", "Write digits only, without quotes."),
    "float": ("a number is needed.", "Write digits, without quotes."),
    "string": ("a text is needed.", "Put it in quotes."),
    "path": ("a text is needed.", "Put it in quotes."),
    "tuple": ("a list is needed.", "Put it in brackets: [ ... ]."),
}
_PATTERNS = {  # by the key: what its pattern asks for
    "name": (
        "a name has 1 to 40 letters, digits, dots, dashes and underscores, the first a letter or digit.",
        'Write a short one, as "pacs" or "pacs-2".',
    ),
    "webhook": (
        "this is no address that begins with http:// or https://, without blank, user and password.",
        'Write "https://hooks.example.org/tbsnode"; a secret belongs into token_file.',
    ),
}

Location = tuple[str | int, ...]


def wrong(problem: str, remedy: str) -> PydanticCustomError:
    """Return the error that a rule raises: what is wrong, and what to write instead."""
    return PydanticCustomError("tbsnode", "{problem}", {"problem": problem, "remedy": remedy})


def of_validation(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Location, Mistake]]:
    """Yield each mistake that the validation of `model` found, with its location."""
    for detail in error.errors(include_url=False):
        location = tuple(detail["loc"])
        problem, remedy = _words(detail, location, model)
        yield location, Mistake(key_path(location), shown(location, detail), problem, remedy)


def across(raw: Mapping[str, Any]) -> Iterator[tuple[Location, Mistake]]:
    """Yield mistakes that only a comparison of several values shows.

    It reads the file as written, not the validated value, so that they are reported together with
    the mistakes of single values.
    """
    yield from _repeated(raw, ("destinations",), ("name",), "another destination has this name.")
    yield from _repeated(
        raw, ("receiver", "callers"), ("ae_title", "host"), "another caller has this title and host."
    )
    yield from _sent_twice(raw)
    yield from _ambiguous_times(raw)
    yield from _ourselves(raw)
    yield from _priors_from_nobody(raw)
    yield from _shared_ports(raw)
    yield from _callers_without_tls(raw)


def key_path(location: Location) -> str:
    """Return a location as an operator would write it: ``receiver.callers[0].host``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def shown(location: Location, detail: ErrorDetails) -> str:
    """Return the offending value for a message: short, and never a secret."""
    value = detail["input"]
    if detail["type"] == "missing" or isinstance(value, Mapping):
        return ""
    if any(isinstance(part, str) and _SECRET.search(part) for part in location):
        return "(not shown)"
    if isinstance(value, bool):
        return str(value).lower()
    text = _URL_PASSWORD.sub(r"\1:***@", f'"{value}"' if isinstance(value, str) else str(value))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _words(detail: ErrorDetails, location: Location, model: type[BaseModel]) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "tbsnode":
        return context["problem"], context["remedy"]
    if kind == "missing":
        return "this key is required.", "Add it."
    if kind == "extra_forbidden":
        return "there is no such key.", _nearest(location, model)
    if kind == "literal_error":
        return "this value is not known.", f"Write {context['expected'].replace(chr(39), chr(34))}."
    if kind == "tuple_type" and isinstance(detail["input"], Mapping):
        return "this is one table, a list of tables is needed.", f"Write [[{key_path(location)}]]."
    if kind in ("model_type", "model_attributes_type") and isinstance(location[-1], int):
        return "this is a value, a table is needed.", "Write { key = value, ... } in its place."
    if kind in ("model_type", "model_attributes_type"):
        return "this is a value, a table is needed.", f"Write [{key_path(location)}] and its keys below."
    if kind == "string_pattern_mismatch" and location[-1] in _PATTERNS:
        return _PATTERNS[str(location[-1])]
    family, _, rest = kind.partition("_")
    if rest in ("type", "parsing", "from_float") and family in _EXPECTED:
        return _EXPECTED[family]
    problem = detail["msg"].replace("Input should", "it should")
    return f"{problem[0].lower()}{problem[1:]}.", "Correct the value."


def _nearest(location: Location, model: type[BaseModel]) -> str:
    """Suggest the known key that was probably meant."""
    known = _keys(_model_at(location[:-1], model))
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]}?"
    elsewhere = [section for section in _keys(model) if location[-1] in _keys(_model_at((section,), model))]
    if elsewhere:
        return f"It belongs to [{elsewhere[0]}]."
    return f"Known here: {', '.join(known)}."


def _keys(model: type[BaseModel] | None) -> list[str]:
    fields = model.model_fields if model is not None else {}
    return [field.alias or name for name, field in fields.items()]


def _model_at(location: Location, model: type[BaseModel]) -> type[BaseModel] | None:
    """Return the section that a location leads to, None where it leads to a plain value."""
    found: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        field = found.model_fields.get(part) if found is not None else None
        annotation = field.annotation if field is not None else None
        candidates = (annotation, *get_args(annotation))
        found = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    return found


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _tables(raw: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[int, Mapping[str, Any]]]:
    value: Any = raw
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    rows = value if isinstance(value, list) else []
    return [(index, row) for index, row in enumerate(rows) if isinstance(row, Mapping)]


def _repeated(
    raw: Mapping[str, Any], path: tuple[str, ...], keys: tuple[str, ...], problem: str
) -> Iterator[tuple[Location, Mistake]]:
    seen: set[tuple[str, ...]] = set()
    for index, row in _tables(raw, path):
        if any(key not in row for key in keys):
            continue
        identity = tuple(str(row[key]) for key in keys)
        if identity in seen:
            location: Location = (*path, index, keys[0])
            yield (
                location,
                Mistake(key_path(location), f'"{row[keys[0]]}"', problem, "Rename or remove one of them."),
            )
        seen.add(identity)


def _sent_twice(raw: Mapping[str, Any]) -> Iterator[tuple[Location, Mistake]]:
    """Find a second entry of one system under another name: it would get the same results again."""
    seen: dict[tuple[str, ...], tuple[str, set[str]]] = {}
    for index, row in _tables(raw, ("destinations",)):
        send = row.get("send", ["sr", "pdf"])
        kinds = {str(each) for each in send} if isinstance(send, list) else set()
        title, host, port = (str(row.get(key, "")) for key in ("ae_title", "host", "port"))
        name, before = seen.setdefault(
            (title, host.lower(), port or "104"), (str(row.get("name", "")), set())
        )
        twice = sorted(kinds & before)
        before |= kinds
        if twice and name != str(row.get("name", "")):
            location: Location = ("destinations", index, "ae_title")
            problem = f"destination {name} is this system too: it would get {', '.join(twice)} twice."
            yield location, Mistake(key_path(location), f'"{title}"', problem, "Remove one of them.")


def _ambiguous_times(raw: Mapping[str, Any]) -> Iterator[tuple[Location, Mistake]]:
    """Find callers of one AE title with different times: a study knows its caller by title only."""
    times: dict[str, tuple[object, object]] = {}
    for index, row in _tables(raw, ("receiver", "callers")):
        own = (row.get("quiet_s"), row.get("after_release_s"))
        title = str(row.get("ae_title"))
        if times.setdefault(title, own) != own:
            location = ("receiver", "callers", index, "ae_title")
            problem = "another caller with this title has other times."
            remedy = "Give all hosts of one AE title the same quiet_s and after_release_s."
            yield location, Mistake(key_path(location), f'"{title}"', problem, remedy)


def _priors_from_nobody(raw: Mapping[str, Any]) -> Iterator[tuple[Location, Mistake]]:
    """Find a PACS for earlier examinations that is none of the destinations."""
    wanted = _table(raw, "priors").get("destination", "")
    names = [str(row.get("name")) for _, row in _tables(raw, ("destinations",))]
    if wanted and isinstance(wanted, str) and wanted not in names:
        location = ("priors", "destination")
        known = f"Write one of: {', '.join(names)}." if names else "Enter it in [[destinations]] first."
        yield location, Mistake(key_path(location), f'"{wanted}"', "no destination has this name.", known)


def _shared_ports(raw: Mapping[str, Any]) -> Iterator[tuple[Location, Mistake]]:
    """Find listeners of this node that want one port."""
    tls = _tls(raw)
    wanted: list[tuple[Location, object, str]] = []
    if tls is None or tls.get("only") is not True:
        port = _table(raw, "receiver").get("port", 11112)
        wanted.append((("receiver", "port"), port, "the receiver has this port."))
    if tls is not None:
        problem = "the receiver has this port for TLS."
        wanted.append((("receiver", "tls", "port"), tls.get("port", 2762), problem))
    wanted.append((("http", "port"), _table(raw, "http").get("port", 8043), ""))
    taken: dict[int, str] = {}
    for location, port, problem in wanted:
        if not isinstance(port, int):
            continue  # no port at all, which is told of that key
        if port in taken:
            yield location, Mistake(key_path(location), str(port), taken[port], "Choose another one.")
        taken.setdefault(port, problem)


def _callers_without_tls(raw: Mapping[str, Any]) -> Iterator[tuple[Location, Mistake]]:
    """Find callers that need TLS where nobody listens for it, or TLS for a port that is not named."""
    for index, row in _tables(raw, ("receiver", "callers")):
        at: Location = ("receiver", "callers", index)
        if row.get("certificate") and _tls(raw) is None:
            problem = "it could never call: there is no port for TLS."
            remedy = "Add [receiver.tls], or take the certificate out."
            yield (
                (*at, "certificate"),
                Mistake(key_path((*at, "certificate")), f'"{row["certificate"]}"', problem, remedy),
            )
        if row.get("port_tls") is True and (_tls(raw) is None or row.get("port") is None):
            problem = "its reports need a port, and the certificate and key of [receiver.tls]."
            remedy = "Add what is missing, or take port_tls out."
            yield (*at, "port_tls"), Mistake(key_path((*at, "port_tls")), "true", problem, remedy)


def _tls(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    value = _table(raw, "receiver").get("tls")
    return value if isinstance(value, Mapping) else None


def _ourselves(raw: Mapping[str, Any]) -> Iterator[tuple[Location, Mistake]]:
    """Find destinations that are this node: it would send to itself for ever."""
    receiver, tls = _table(raw, "receiver"), _tls(raw)
    # compared in lists: what is written may be anything, also what no set can hold
    ports = [receiver.get("port", 11112), *([tls.get("port", 2762)] if tls is not None else [])]
    local = [*_LOCAL, str(receiver.get("bind", "")), socket.gethostname()]
    for index, row in _tables(raw, ("destinations",)):
        port = row.get("port", 104)
        if row.get("host") in local and port in ports:
            location = ("destinations", index, "port")
            yield (
                location,
                Mistake(
                    key_path(location),
                    str(port),
                    "this is the receiver of this node itself.",
                    "Enter host and port of the PACS.",
                ),
            )
