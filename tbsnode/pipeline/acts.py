"""One act of a reviewer, from its opening to its commit: what accepting and rejecting have in common.

An act is committed whole, with its time, its instances and its deliveries, in one transaction that
holds only if nothing has happened to the study since the reviewer's look; the files are archived
before. An act that was broken off and is repeated keeps the time of its beginning, so that it makes
the same instances.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tbsnode import text
from tbsnode.errors import NotFound, ReviewRefused
from tbsnode.model import ReviewAction, StudyState
from tbsnode.pipeline.review import ReviewEvent, acting_reviewer, next_state
from tbsnode.reasons import Code, Finding
from tbsnode.store import audit, catalogue, results, reviews

if TYPE_CHECKING:
    from tbsnode.model import Change, Corrections, Review, Reviewer, ReviewState
    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.records import AnalysisRow, InstanceRow, StudyRow

_REPEATED_WITHIN_S = 600.0  # an act that is begun again later than this is another one
LONGEST_COMMENT = 1000
_LOOK_AGAIN = "Look at the result again: `tbsnode study trace UID`, `study show UID`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an act led to, for whoever acts to see.

    Attributes
    ----------
    study_instance_uid : str
        Whose.
    action : ReviewAction
        What was done.
    login, name, host : str
        By whom, and where.
    version : int
        Number of the signature; of a rejection, of the one that it withdraws.
    review_state : ReviewState
        Where the result stands now, or would stand after a dry run.
    result : dict
        The result as it is stored.
    before : dict or None
        The one that stood before; None where there was none.
    changes : tuple of Change
        What differs between the two.
    corrections : Corrections
        What stands corrected.
    image_uid : str
        The image that a reviewer chose; empty for the automatic choice.
    dry_run : bool
        True where nothing was written.
    """

    study_instance_uid: str
    action: ReviewAction
    login: str
    name: str
    host: str
    version: int
    review_state: ReviewState
    result: dict[str, Any]
    before: dict[str, Any] | None
    changes: tuple[Change, ...]
    corrections: Corrections
    image_uid: str
    dry_run: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """A study before an act: what the reviewer sees, and what has been decided about it.

    `newest` is the result that waits for the act, `stands` the one that was signed, rejected or
    published last.
    """

    study: StudyRow
    instances: tuple[InstanceRow, ...]
    acts: tuple[reviews.ReviewRow, ...]
    newest: AnalysisRow
    stands: AnalysisRow
    reviewer: Reviewer
    host: str
    event: ReviewEvent
    after: ReviewState

    @property
    def standing(self) -> reviews.Standing:
        """What the newest act decided about the measurement."""
        return self.acts[-1].standing if self.acts else reviews.Standing()

    @property
    def signatures(self) -> int:
        """How often the study's result was signed."""
        return sum(not act.is_rejection for act in self.acts)

    @property
    def newest_review_id(self) -> int:
        """Row of the newest act, 0 where there was none."""
        return self.acts[-1].id if self.acts else 0


def opened(site: Site, uid: str, event: ReviewEvent) -> Case:
    """Return a study that the acting reviewer may do this to.

    Raises
    ------
    NotAReviewer, NotFound, ReviewRefused
        As for the acts.
    """
    reviewer, host = acting_reviewer(site.policy)
    with site.database.read() as tx:
        study = catalogue.study_by_uid(tx, uid)
        if study is None:
            raise NotFound(
                f"There is no study {uid} here.", remedy="`tbsnode study list` shows those there are."
            )
        acts = reviews.reviews_of_study(tx, study.id)
        after = next_state(study.review_state, event, known=_done_by(acts))
        _require_rest(study, event)
        newest = results.last_reported(tx, study.id)
        stands = results.analysis_by_id(tx, acts[-1].analysis_ref) if acts else None
        stands = stands or results.last_published(tx, study.id)
        instances = catalogue.instances_of_study(tx, study.id)
    assert newest is not None, "what was published was reported"
    assert stands is not None
    return Case(
        study=study,
        instances=instances,
        acts=acts,
        newest=newest,
        stands=stands,
        reviewer=reviewer,
        host=host,
        event=event,
        after=after,
    )


def _done_by(acts: tuple[reviews.ReviewRow, ...]) -> str:
    """Say who acted last, for a reviewer who comes second."""
    if not acts:
        return ""
    last = acts[-1].review
    done = "rejected" if acts[-1].is_rejection else "signed"
    when = last.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"The result is already {done} by {last.reviewer.login} on {last.host}, {when}."


_NOT_AT_WORK = (StudyState.HELD, StudyState.FAILED, StudyState.NOT_APPLICABLE)


def _require_rest(study: StudyRow, event: ReviewEvent) -> None:
    """Refuse what would be overtaken; a held or failed study may still be rejected."""
    at_rest = study.state is StudyState.DONE or study.state in _NOT_AT_WORK
    if not at_rest or study.ready_at is not None:
        raise ReviewRefused(
            f"The study is at work ({study.state.value}): its result may change in a moment.",
            remedy=f"Wait until it is done, then look. {_LOOK_AGAIN}",
        )
    if study.state in _NOT_AT_WORK and event is not ReviewEvent.REJECT:
        code = Code(study.reason) if study.reason else None
        why = text.sentence(Finding(code)) if code else study.last_error
        raise ReviewRefused(
            f"The study is {study.state.value.replace('_', ' ')}; nothing can be signed. {why}".strip(),
            remedy=text.remedy(code) if code else _LOOK_AGAIN,
        )


def worded(comment: str, *, required: bool = False) -> str:
    """Return a reviewer's own words as one line.

    Raises
    ------
    ReviewRefused
        If there are none where they are needed, too many, or characters that nothing can hold.
    """
    words = " ".join(comment.split())
    if required and not words:
        raise ReviewRefused("Whoever corrects or rejects a result says why.", remedy="Give --comment TEXT.")
    if len(words) > LONGEST_COMMENT or not words.isprintable():
        raise ReviewRefused(
            f"The comment has more than {LONGEST_COMMENT} characters, or some that cannot be printed.",
            remedy="Shorten it.",
        )
    return words


def begun(site: Site, case: Case, review: Review, content: str) -> tuple[Review, float]:
    """Note that an act begins, and return it with its time.

    The same act that was begun a moment ago and did not end keeps its time: what it makes now has
    the names of what it may have made then.
    """
    asked = asdict(review)
    del asked["at"]
    whole = [asked, content, case.study.generation, case.newest_review_id]
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
    uid = case.study.study_instance_uid
    with site.database.transaction() as tx:
        events = audit.events_of_study(tx, uid)
        known = [e.at for e in events if e.action == "review.begun" and e.data.get("act") == digest]
        at = known[-1] if known and 0 <= tx.now - known[-1] <= _REPEATED_WITHIN_S else tx.now
        if at == tx.now:
            told = f"{review.reviewer.login} on {review.host} begins to {review.action.value}"
            audit.add_event(tx, "review.begun", told, study_instance_uid=uid, data={"act": digest})
    return _at(review, at), at


def _at(review: Review, at: float) -> Review:
    return replace(review, at=datetime.fromtimestamp(at, UTC))


def require_first(tx: Transaction, case: Case) -> None:
    """Move the study to its new state, or refuse: of two acts at once exactly one counts."""
    if not reviews.move(tx, case.study, case.after, newest_review_id=case.newest_review_id):
        raise ReviewRefused(
            "Somebody else acted first, or the study is being analyzed again; nothing was changed.",
            remedy=_LOOK_AGAIN,
        )


_DONE = {ReviewAction.ACCEPT: "accepted", ReviewAction.CORRECT: "corrected", ReviewAction.REJECT: "rejected"}


def tell(tx: Transaction, case: Case, review: Review) -> None:
    """Write an act into the story of the study: who and where; no word of the comment."""
    done = _DONE[review.action]
    what = f"{done} by {review.reviewer.login} on {review.host}, version {review.version}"
    if review.rejection is not None:
        what += f": {review.rejection.value}"
    data: dict[str, Any] = {
        "login": review.reviewer.login,
        "host": review.host,
        "version": review.version,
        "changed": [change.what for change in review.changes],
    }
    audit.add_event(tx, f"review.{done}", what, study_instance_uid=case.study.study_instance_uid, data=data)


def outcome(case: Case, review: Review, stored: dict[str, Any], *, dry_run: bool = False) -> Outcome:
    """Return what whoever acts shall see."""
    return Outcome(
        study_instance_uid=case.study.study_instance_uid,
        action=review.action,
        login=review.reviewer.login,
        name=review.reviewer.name,
        host=review.host,
        version=review.version,
        review_state=case.after,
        result=stored,
        before=case.stands.result,
        changes=review.changes,
        corrections=review.corrections,
        image_uid=review.image_uid,
        dry_run=dry_run,
    )
