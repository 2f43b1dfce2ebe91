"""`InstanceIdentity` to JSON and back, for the catalogue.

Absent keys take the field's default, so that a row written by an older version still reads; unknown
keys, written by a newer one, are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from tbsnode.model import Claim, Demographics, InstanceIdentity, Scanner

T = TypeVar("T")


_LISTS = ("order_codes", "patient_orientation", "body_declarations")


def to_json(identity: InstanceIdentity) -> dict[str, Any]:
    """Return an identity as JSON types, key = field name."""
    values = _values(identity)
    values["demographics"] = _values(identity.demographics)
    values["scanner"] = _values(identity.scanner)
    values["claim"] = identity.claim.value
    for name in _LISTS:
        values[name] = list(values[name])
    return values


def from_json(values: Mapping[str, Any]) -> InstanceIdentity:
    """Return the identity that `to_json` wrote."""
    known = dict(values)
    if "demographics" in known:
        known["demographics"] = _build(Demographics, known["demographics"])
    if "scanner" in known:
        known["scanner"] = _build(Scanner, known["scanner"])
    if "claim" in known:
        known["claim"] = Claim(known["claim"])
    for name in _LISTS:
        if name in known:
            known[name] = tuple(known[name])
    return _build(InstanceIdentity, known)


def _values(record: Any) -> dict[str, Any]:
    # `asdict` copies every text on its way, for each instance that arrives
    return {name: getattr(record, name) for name in _names(type(record))}  # type: ignore[arg-type]


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _build(kind: type[T], values: Mapping[str, Any]) -> T:
    names = _names(kind)  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})
