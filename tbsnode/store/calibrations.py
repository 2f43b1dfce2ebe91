"""Calibrations and precision studies: written once, superseded or retired, never edited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.store.schema import calibration as table
from tbsnode.store.schema import precision as precision_table
from tbsnode.tbs.calibration import Calibration, Kind, to_json
from tbsnode.tbs.calibration_json import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tbsnode.store.database import Transaction

ACTIVE, SUPERSEDED, RETIRED = "active", "superseded", "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRow:
    """One stored calibration.

    Attributes
    ----------
    calibration : Calibration
        As it was made.
    state : str
        ``"active"``, ``"superseded"`` or ``"retired"``.
    reason : str
        Why it is no longer active.
    details : dict
        The numbers of its fit, and its pairs by UID.
    created_at : float
        When [seconds since the epoch].
    """

    calibration: Calibration
    state: str
    reason: str
    details: dict[str, Any]
    created_at: float


def add(tx: Transaction, calibration: Calibration, details: Mapping[str, Any]) -> bool:
    """Write a calibration; the active one of the same purpose, scanner, software and spacing is superseded.

    One of another software version or pixel spacing stays: it holds for the images made that way, which are
    measured again when a study is reprocessed, or compared with.

    Returns
    -------
    bool
        False where the very same calibration is stored already; nothing is changed then.
    """
    if by_id(tx, calibration.calibration_id) is not None:
        return False
    for row in rows(tx, state=ACTIVE):
        old = row.calibration
        same_purpose = (old.kind is Kind.REFERENCE) == (calibration.kind is Kind.REFERENCE)
        same_state = old.key.same_scanner(calibration.key) and not old.key.changes(calibration.key)
        if same_purpose and same_state:
            _set_state(tx, old.calibration_id, SUPERSEDED, f"by {calibration.calibration_id}")
    tx.add(
        table,
        calibration_id=calibration.calibration_id,
        kind=calibration.kind.value,
        state=ACTIVE,
        reason="",
        record=to_json(calibration),
        details=dict(details),
        created_at=tx.now,
        updated_at=tx.now,
    )
    return True


def retire(tx: Transaction, calibration_id: str, reason: str) -> bool:
    """Take a calibration out of use; False where none of that name is active."""
    row = by_id(tx, calibration_id)
    if row is None or row.state != ACTIVE:
        return False
    _set_state(tx, calibration_id, RETIRED, reason)
    return True


def _set_state(tx: Transaction, calibration_id: str, state: str, reason: str) -> None:
    where = table.c.calibration_id == calibration_id
    tx.execute(sa.update(table).where(where).values(state=state, reason=reason, updated_at=tx.now))


def rows(tx: Transaction, *, state: str | None = None) -> tuple[CalibrationRow, ...]:
    """Return the stored calibrations, oldest first."""
    query = sa.select(table).order_by(table.c.id)
    if state is not None:
        query = query.where(table.c.state == state)
    return tuple(_row(found) for found in tx.all(query))


def active(tx: Transaction) -> tuple[Calibration, ...]:
    """Return what may be applied, oldest first."""
    return tuple(row.calibration for row in rows(tx, state=ACTIVE))


def by_id(tx: Transaction, calibration_id: str) -> CalibrationRow | None:
    """Return one calibration by its name."""
    found = tx.all(sa.select(table).where(table.c.calibration_id == calibration_id))
    return _row(found[0]) if found else None


def _row(found: Any) -> CalibrationRow:
    return CalibrationRow(
        calibration=from_json(found.record),
        state=found.state,
        reason=found.reason,
        details=found.details,
        created_at=found.created_at,
    )


def add_precision(tx: Transaction, record: Mapping[str, Any], approved_by: str) -> int:
    """Write a precision study; the newest of a scanner counts."""
    return tx.add(precision_table, record=dict(record), approved_by=approved_by, created_at=tx.now)


def precision_records(tx: Transaction) -> tuple[dict[str, Any], ...]:
    """Return the precision studies, newest first, each with who approved it and when it was made."""
    found = tx.all(sa.select(precision_table).order_by(precision_table.c.id.desc()))
    return tuple(
        {**row.record, "approved_by": row.approved_by, "created_at": row.created_at} for row in found
    )
