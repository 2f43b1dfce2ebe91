"""A result is withdrawn: a Key Object names everything that was published of it, wherever it went.

It is never sent again, and it is neither an earlier examination nor a calibration pair any more.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode.errors import ReviewRefused
from tbsnode.model import DeliveryState, DerivedKind, Reference, RejectionReason, Review, ReviewAction
from tbsnode.pipeline import publish, registered
from tbsnode.pipeline.acts import Case, Outcome, begun, opened, outcome, require_first, tell, worded
from tbsnode.pipeline.making import checked
from tbsnode.pipeline.review import ReviewEvent
from tbsnode.reasons import Code
from tbsnode.store import deliveries, results, reviews

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tbsnode.model import DerivedInstance
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import DerivedRow


def reject(site: Site, uid: str, reason: RejectionReason, *, comment: str) -> Outcome:
    """Withdraw the result of a study.

    Parameters
    ----------
    site : Site
        The node.
    uid : str
        Study Instance UID.
    reason : RejectionReason
        Quality, patient safety, or the wrong worklist entry.
    comment : str
        Why, in the reviewer's own words.

    Raises
    ------
    NotAReviewer
        If the login may not sign.
    NotFound
        If there is no such study.
    ReviewRefused
        If the state does not allow it, or the study is at work.
    """
    comment = worded(comment, required=True)
    case = opened(site, uid, ReviewEvent.REJECT)
    with site.database.read() as tx:
        made = _published(tx, case)
    act = Review(
        action=ReviewAction.REJECT,
        reviewer=case.reviewer,
        host=case.host,
        at=datetime.fromtimestamp(0, UTC),
        version=max(1, case.signatures),
        comment=comment,
        corrections=case.standing.corrections,
        image_uid=case.standing.image_uid,
        rejection=reason,
    )
    act, at = begun(site, case, act, case.newest.content_digest)
    # what an earlier rejection withdrew, and nothing was published since, is not named again
    withdrawing = _key_object(site, case, act, at, made) if made else None
    if withdrawing is not None:
        site.archive.write(registered.path_of(site, withdrawing), withdrawing.part10)
    with site.database.transaction() as tx:
        require_first(tx, case)
        if _published(tx, case) != made:
            raise ReviewRefused(
                "An instance of this result was being made for a destination in this moment.",
                remedy="Reject it again.",
            )
        reviews.add_review(tx, case.study.id, case.newest.id, act, case.standing.corrected_image)
        if withdrawing is not None:
            _queue(tx, site, case, withdrawing)
        tell(tx, case, act)
    return outcome(case, act, case.newest.result)


def _published(tx: Transaction, case: Case) -> tuple[DerivedRow, ...]:
    """Return every instance of results that no earlier rejection withdrew."""
    before = max((act.analysis_ref for act in case.acts if act.is_rejection), default=0)
    return tuple(
        row
        for row in results.derived_of_study(tx, case.study.id)
        if row.kind != DerivedKind.REJECTION.value and row.analysis_ref > before
    )


def _key_object(
    site: Site, case: Case, act: Review, at: float, made: Sequence[DerivedRow]
) -> DerivedInstance:
    from tbsnode.dicom import rejection

    references = tuple(
        Reference(
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            series_instance_uid=row.series_instance_uid,
            study_instance_uid=case.study.study_instance_uid,
        )
        for row in made
    )
    provenance = publish.provenance_of(site, case.study, at)
    stated = [asdict(act), asdict(provenance), [asdict(each) for each in references]]
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True, default=str).encode()).hexdigest()
    source = next(row for row in case.instances if row.id == case.newest.instance_ref)
    return checked(
        rejection.build(references, act, provenance, site.archive.path(source.path), digest=digest)
    )


def _queue(tx: Transaction, site: Site, case: Case, withdrawing: DerivedInstance) -> None:
    """End what waits, and tell each destination that has something of the result."""
    recipients = deliveries.recipients(tx, case.study.id)
    deliveries.supersede_waiting(tx, case.study.id)
    registered.register(tx, site, case.newest.id, case.study.id, withdrawing)
    shadow = site.policy.shadow
    for destination in recipients:
        deliveries.add_delivery(
            tx,
            deliveries.NewDelivery(
                study_id=case.study.id,
                analysis_id=case.newest.id,
                destination=destination,
                state=DeliveryState.HELD if shadow else DeliveryState.QUEUED,
                reason=Code.SHADOW_MODE.value if shadow else "",
                horizon_s=site.policy.retry_horizon_s,
            ),
        )
