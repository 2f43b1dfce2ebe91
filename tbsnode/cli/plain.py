"""Text of others on one line of a log or a table: nothing in it moves the cursor, or begins a line."""

from __future__ import annotations


def plain(text: str) -> str:
    r"""Show what is no printable character as its code: controls, line ends, marks of direction.

    Examples
    --------
    >>> print(plain("DXA\x9b2J\n2026 INFO"), plain("a\u202eb"))
    DXA\x9b2J\n2026 INFO a\u202eb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
