"""Lines of `tbsnode check` about what its operator must not overlook: scanners whose refusals are paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.cli.check_line import Line
from tbsnode.errors import InstanceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tbsnode.store.database import Transaction


def lines(tx: Transaction) -> Iterator[Line]:
    """Yield one failure for each scanner whose refusals are stored and not reported."""
    from tbsnode import text
    from tbsnode.reasons import Code
    from tbsnode.store import identity_changes

    for paused in identity_changes.refusal_pauses(tx):
        said = (
            f"{paused.scanner}: refused {paused.count} times in a row with {paused.code}; not reported now."
        )
        remedy = f"{text.remedy(Code(paused.code))} A scored study ends the pause."
        yield Line("refusals", said, remedy, InstanceError.exit_code)
