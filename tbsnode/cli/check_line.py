"""One line of `tbsnode check`."""

from __future__ import annotations

from dataclasses import dataclass

from tbsnode.errors import TbsNodeError


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at.

    Attributes
    ----------
    what, text : str
        What was looked at, and what was found.
    remedy : str
        What to do; empty where all is well.
    exit_code : int
        0 where all is well, else the code of the error's class.
    """

    what: str
    text: str
    remedy: str = ""
    exit_code: int = 0

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.exit_code == 0


def failed(what: str, error: TbsNodeError, remedy: str = "See the log of the other side.") -> Line:
    """Return the line of an error; `remedy` where the error has none itself."""
    return Line(what, error.message, error.remedy or remedy, error.exit_code)
