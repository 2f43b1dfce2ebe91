"""Earlier examinations in the catalogue: whose they may be, and what was fetched for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tbsnode.store.schema import instance

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction


def adopt(tx: Transaction, instance_id: int) -> None:
    """Make an instance that was fetched as an earlier examination an ordinary one: a scanner sent it."""
    tx.execute(sa.update(instance).where(instance.c.id == instance_id).values(fetched=False))
