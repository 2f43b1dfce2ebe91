"""Calibrations in `tbsnode check`: which scanner has none that holds, where the site works with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.cli.check_line import Line
from tbsnode.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tbsnode.store.database import Transaction

_TRANSFER = (
    "If it replaces a calibrated one: measure 30 patients on both within 60 days, while both are there, and "
    "`tbsnode calibration transfer`."
)


def lines(tx: Transaction) -> Iterator[Line]:
    """Yield a line for each scanner whose newest study had no calibration that holds.

    One that was suspended or has expired is a failure. One that never was may be meant so, but the one
    in the place of a calibrated device can be calibrated through it only while that is there.
    """
    from tbsnode import text
    from tbsnode.pipeline import notify
    from tbsnode.reasons import Code, Finding

    for cause in notify.calibration_ended(tx):
        scanner, code = cause.subject, Code(str(cause.data["reason"]))
        if code is Code.SCANNER_UNCALIBRATED:
            yield Line("calibration", f"{scanner}: none, its results have no TBS", _TRANSFER)
        else:
            said = f"{scanner}: {text.sentence(Finding(code))}"
            yield Line("calibration", said, text.remedy(code), CalibrationError.exit_code)
