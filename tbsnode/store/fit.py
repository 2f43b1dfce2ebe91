"""Fit texts into columns: SQLite takes any text, PostgreSQL neither a long one nor a NUL.

A header may break every rule and must still be kept; the whole text stands in the instance's
`identity`, and the file in the archive is untouched.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MARK = 17  # "~" and 16 digits


def text(value: str, length: int | None = None) -> str:
    r"""Replace what no database stores; shorten so that different texts stay different.

    Examples
    --------
    >>> text("a\x00b")
    'a\ufffdb'
    >>> text("9" * 65, 64)
    '99999999999999999999999999999999999999999999999~1354738a23834667'
    """
    stored = _UNSTORABLE.sub("\ufffd", value)
    if length is None or len(stored) <= length:
        return stored
    if length <= _MARK:
        return stored[:length]
    return f"{stored[: length - _MARK]}~{hashlib.sha256(stored.encode()).hexdigest()[: _MARK - 1]}"


def columns(table: sa.Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Fit every text of a row."""
    lengths = _lengths(table)
    return {
        name: text(value, lengths[name]) if isinstance(value, str) else value
        for name, value in values.items()
    }


@cache
def _lengths(table: sa.Table) -> dict[str, int | None]:
    return {column.name: getattr(column.type, "length", None) for column in table.c}
