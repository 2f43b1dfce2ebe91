"""What was computed and what was made of it: analyses, their vertebrae, derived instances."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tbsnode.store import fit
from tbsnode.store.records import AnalysisRow, DerivedRow, VertebraRow, read_row
from tbsnode.store.schema import analysis as analysis_table
from tbsnode.store.schema import derived_instance, vertebra_score

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tbsnode.model import Analysis, DerivedInstance, Vertebra
    from tbsnode.store.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisContext:
    """What an analysis is to its study.

    Attributes
    ----------
    generation : int
        Which run of the study.
    instance_id : int or None
        Row of the analyzed instance.
    reported, published : bool
        Whether it is the one the study stands for, and whether a result set was made from it.
    content_digest, result_digest : str
        Without and with version and time; empty where it is not reported.
    content_at : float or None
        The time committed with the generation.
    result : dict
        The whole result, as ``analyze --json`` prints it.
    shadow : bool
        Whether it is kept for comparison only, of a generation that is never sent.
    """

    generation: int
    instance_id: int | None
    reported: bool
    published: bool
    content_digest: str
    result_digest: str
    content_at: float | None
    result: dict[str, Any]
    shadow: bool = False


def add_analysis(tx: Transaction, study_id: int, analysis: Analysis, context: AnalysisContext) -> int:
    """Write the result of one image, with a row for each level; return the row's `id`."""
    values = {
        "study_ref": study_id,
        "generation": context.generation,
        "instance_ref": context.instance_id,
        "frame": analysis.frame,
        "reported": context.reported,
        "published": context.published,
        "shadow": context.shadow,
        "status": analysis.status.value,
        "reason": analysis.reason.code.value if analysis.reason else "",
        "score": analysis.score,
        "standard_error": analysis.standard_error,
        "tbs": analysis.tbs,
        "category": analysis.category or "",
        "input_class": analysis.input_class.value if analysis.input_class else "",
        "content_digest": context.content_digest,
        "result_digest": context.result_digest,
        "content_at": context.content_at,
        "version": analysis.version,
        "created_at": tx.now,
    }
    row_id = tx.add(analysis_table, **fit.columns(analysis_table, values), result=context.result)
    levels = [_level(row_id, vertebra) for vertebra in analysis.vertebrae]
    if levels:
        tx.execute(vertebra_score.insert(), levels)
    return row_id


def _level(analysis_id: int, vertebra: Vertebra) -> dict[str, Any]:
    return {
        "analysis_ref": analysis_id,
        "label": vertebra.label,
        "included": vertebra.included,
        "excluded": vertebra.excluded.code.value if vertebra.excluded else "",
        "score": vertebra.score,
        "standard_error": vertebra.standard_error,
        "native_score": vertebra.native_score,
        "fit_r2": vertebra.fit_r2,
        "pairs": vertebra.pairs,
        "area_mm2": vertebra.area_mm2,
    }


def analyses_of_study(tx: Transaction, study_id: int) -> tuple[AnalysisRow, ...]:
    """Return all results of a study with their levels, oldest first."""
    query = sa.select(analysis_table).where(analysis_table.c.study_ref == study_id)
    return _with_levels(tx, tx.all(query.order_by(analysis_table.c.id)))


def analysis_by_id(tx: Transaction, analysis_id: int) -> AnalysisRow | None:
    """Return one result with its levels."""
    found = _with_levels(tx, tx.all(sa.select(analysis_table).where(analysis_table.c.id == analysis_id)))
    return found[0] if found else None


def last_published(tx: Transaction, study_id: int) -> AnalysisRow | None:
    """Return the newest result of a study that a result set was made from."""
    return _newest(tx, study_id, analysis_table.c.published)


def last_reported(tx: Transaction, study_id: int) -> AnalysisRow | None:
    """Return the newest result that a study stands for, whether it was published or waits."""
    return _newest(tx, study_id, analysis_table.c.reported)


def _newest(tx: Transaction, study_id: int, which: sa.ColumnElement[bool]) -> AnalysisRow | None:
    query = (
        sa.select(analysis_table)
        .where(analysis_table.c.study_ref == study_id, which)
        .order_by(analysis_table.c.id.desc())
        .limit(1)
    )
    found = _with_levels(tx, tx.all(query))
    return found[0] if found else None


def add_derived(
    tx: Transaction, *, analysis_id: int, study_id: int, derived: DerivedInstance, path: str
) -> int:
    """Write the row of an archived instance of ours; where its UID has one already, return that.

    A derived UID says what the object states, so the same UID is the same object.
    """
    row_id = tx.add_if_new(
        derived_instance,
        analysis_ref=analysis_id,
        study_ref=study_id,
        kind=derived.kind.value,
        sop_class_uid=derived.sop_class_uid,
        sop_instance_uid=derived.sop_instance_uid,
        series_instance_uid=derived.series_instance_uid,
        predecessor_uid=derived.predecessor_uid,
        path=path,
        size_bytes=len(derived.part10),
        sha256=hashlib.sha256(derived.part10).hexdigest(),
        created_at=tx.now,
    )
    if row_id is None:
        known = derived_by_uid(tx, derived.sop_instance_uid)
        assert known is not None
        again = sa.update(derived_instance).where(derived_instance.c.id == known.id)
        tx.execute(again.values(purged=False))  # its file has just been written again
        return known.id
    return row_id


def derived_by_uid(tx: Transaction, sop_instance_uid: str) -> DerivedRow | None:
    """Return an instance of ours by its SOP Instance UID."""
    row = tx.one(sa.select(derived_instance).where(derived_instance.c.sop_instance_uid == sop_instance_uid))
    return None if row is None else read_row(DerivedRow, row)


def derived_of_analysis(tx: Transaction, analysis_id: int) -> tuple[DerivedRow, ...]:
    """Return the instances made from a result, in the order they were made."""
    query = sa.select(derived_instance).where(derived_instance.c.analysis_ref == analysis_id)
    return tuple(read_row(DerivedRow, row) for row in tx.all(query.order_by(derived_instance.c.id)))


def derived_of_study(tx: Transaction, study_id: int) -> tuple[DerivedRow, ...]:
    """Return all instances made of a study's results, in the order they were made."""
    query = sa.select(derived_instance).where(derived_instance.c.study_ref == study_id)
    return tuple(read_row(DerivedRow, row) for row in tx.all(query.order_by(derived_instance.c.id)))


def _with_levels(tx: Transaction, rows: Iterable[sa.Row[Any]]) -> tuple[AnalysisRow, ...]:
    found = list(rows)
    levels: dict[int, list[VertebraRow]] = {row.id: [] for row in found}
    query = sa.select(vertebra_score).where(vertebra_score.c.analysis_ref.in_(list(levels)))
    for level in tx.all(query.order_by(vertebra_score.c.label)) if levels else ():
        levels[level.analysis_ref].append(read_row(VertebraRow, level))
    return tuple(read_row(AnalysisRow, row, vertebrae=tuple(levels[row.id])) for row in found)
