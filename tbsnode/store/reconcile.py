"""What the catalogue says of a time, to be held against what a PACS says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.model import Reference
from tbsnode.store import results
from tbsnode.store.schema import delivery, delivery_item, derived_instance, instance, series, study

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tbsnode.store.database import Transaction

_TAKEN = ("success", "warning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What our scanners' instances are filed as: modalities, and the station names of the scanners."""

    modalities: frozenset[str]
    stations: frozenset[str]


def sources(tx: Transaction) -> Sources:
    """Return what scanners have sent us so far."""
    sent = sa.and_(instance.c.state != "own", instance.c.fetched.is_(sa.false()))
    modality = sa.select(series.c.modality).distinct().join(instance, instance.c.series_ref == series.c.id)
    station = instance.c.identity["scanner"]["station_name"].as_string()
    return Sources(
        modalities=frozenset(str(row[0]) for row in tx.all(modality.where(sent)) if row[0]),
        stations=frozenset(
            str(row[0]) for row in tx.all(sa.select(station).distinct().where(sent)) if row[0]
        ),
    )


def here(tx: Transaction, uids: Iterable[str]) -> frozenset[str]:
    """Return which studies have an instance here that a scanner sent, or that was fetched."""
    wanted = list(uids)
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        query = (
            sa.select(study.c.study_instance_uid)
            .join(instance, instance.c.study_ref == study.c.id)
            .where(
                study.c.study_instance_uid.in_(wanted[start : start + 500]),
                instance.c.state != "own",
            )
        )
        found.update(str(row[0]) for row in tx.all(query.distinct()))
    return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """The newest published result of a study, and how its delivery to one destination stands.

    Attributes
    ----------
    study_id, analysis_id : int
        Rows.
    study_instance_uid, study_date : str
        Which study.
    state, reason : str
        Of the newest delivery; empty where there is none.
    taken : tuple of Reference
        What the destination took of this result.
    """

    study_id: int
    analysis_id: int
    study_instance_uid: str
    study_date: str
    state: str
    reason: str
    taken: tuple[Reference, ...]


def published(tx: Transaction, first: str, last: str, destination: str) -> tuple[Owed, ...]:
    """Return the published results of the studies of a time, ``YYYYMMDD`` to ``YYYYMMDD``."""
    query = sa.select(study.c.id, study.c.study_instance_uid, study.c.study_date)
    dated = query.where(study.c.study_date >= first, study.c.study_date <= last)
    found = []
    for row in tx.all(dated.order_by(study.c.study_date, study.c.id)):
        result = results.last_published(tx, row.id)
        if result is None:
            continue
        sent = _newest_delivery(tx, row.id, destination)
        found.append(
            Owed(
                study_id=row.id,
                analysis_id=result.id,
                study_instance_uid=row.study_instance_uid,
                study_date=row.study_date,
                state=sent[0],
                reason=sent[1],
                taken=tuple(
                    Reference(**each._mapping, study_instance_uid=row.study_instance_uid)
                    for each in _taken(tx, row.id, result.id, destination)
                ),
            )
        )
    return tuple(found)


def _newest_delivery(tx: Transaction, study_id: int, destination: str) -> tuple[str, str]:
    query = sa.select(delivery.c.state, delivery.c.reason).where(
        delivery.c.study_ref == study_id, delivery.c.destination == destination
    )
    row = tx.one(query.order_by(delivery.c.id.desc()).limit(1))
    return ("", "") if row is None else (row.state, row.reason)


def _taken(tx: Transaction, study_id: int, analysis_id: int, destination: str) -> Sequence[sa.Row[Any]]:
    """Return what a destination took of a result; found by its deliveries, of which a study has few."""
    made = derived_instance
    query = (
        sa.select(made.c.sop_class_uid, made.c.sop_instance_uid, made.c.series_instance_uid)
        .join(delivery_item, delivery_item.c.derived_ref == made.c.id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_ref)
        .where(
            made.c.analysis_ref == analysis_id,
            delivery.c.study_ref == study_id,
            delivery.c.destination == destination,
            delivery_item.c.outcome.in_(_TAKEN),
        )
    )
    return tx.all(query.distinct())
