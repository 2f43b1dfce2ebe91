"""Rows and names of derived instances: what was made lies where, and follows what.

A sender needs this and nothing of what makes reports, which takes a second to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.model import Reference
from tbsnode.store import deliveries, results

if TYPE_CHECKING:
    from tbsnode.model import DerivedInstance, DerivedKind
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import StudyRow


def path_of(site: Site, derived: DerivedInstance) -> str:
    """Return where a derived instance lies, relative to the archive."""
    return site.archive.derived_path(derived.study_instance_uid, derived.kind.value, derived.sop_instance_uid)


def register(tx: Transaction, site: Site, analysis_id: int, study_id: int, derived: DerivedInstance) -> int:
    """Write the row of an archived derived instance; writing it again changes nothing."""
    return results.add_derived(
        tx, analysis_id=analysis_id, study_id=study_id, derived=derived, path=path_of(site, derived)
    )


def predecessor(
    tx: Transaction, study: StudyRow, destination: str, kind: DerivedKind, *, before: int | None = None
) -> Reference | None:
    """Return what that destination received last, the predecessor of what it gets next."""
    received = deliveries.last_received(tx, study.id, destination, kind.value, before=before)
    if received is None:
        return None
    return Reference(
        sop_class_uid=received.sop_class_uid,
        sop_instance_uid=received.sop_instance_uid,
        series_instance_uid=received.series_instance_uid,
        study_instance_uid=study.study_instance_uid,
    )
