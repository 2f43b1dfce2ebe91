"""What a named reviewer signs: the result as it is, or measured again with corrections.

Numbers are computed again, never typed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tbsnode import text
from tbsnode.errors import ReviewRefused
from tbsnode.model import AnalysisStatus, Corrections, Review, ReviewAction
from tbsnode.pipeline import coding, publish
from tbsnode.pipeline.acts import Case, Outcome, begun, opened, outcome, require_first, tell, worded
from tbsnode.pipeline.assemble import assemble
from tbsnode.pipeline.changes import changes
from tbsnode.pipeline.making import content_digest
from tbsnode.pipeline.review import ReviewEvent
from tbsnode.reasons import Code
from tbsnode.report import table
from tbsnode.store import results, reviews

if TYPE_CHECKING:
    from tbsnode.pipeline.assemble import Selection, Spine
    from tbsnode.pipeline.site import Site


def accept(site: Site, uid: str, *, comment: str = "", dry_run: bool = False) -> Outcome:
    """Sign the result of a study as it is.

    Parameters
    ----------
    site : Site
        The node.
    uid : str
        Study Instance UID.
    comment : str
        The reviewer's own words.
    dry_run : bool
        Only return what would be signed.

    Raises
    ------
    NotAReviewer
        If the login may not sign.
    NotFound
        If there is no such study.
    ReviewRefused
        If the state does not allow it, the study is at work, or its result can no longer be found.
    """
    comment = worded(comment)
    case = opened(site, uid, ReviewEvent.ACCEPT)
    selection = assemble(site, case.study, case.instances)
    spine = _reported(selection)
    content = content_digest(publish.stated(site, case.study, selection))
    if content != case.newest.content_digest:
        _require_priors(spine)
        raise ReviewRefused(
            "The result has changed since it was made; nothing was signed.",
            remedy=f"`tbsnode study reprocess {uid}`, look at the result, then accept it.",
        )
    return _sign(site, case, selection, _Act(comment, case.standing, content, dry_run))


def correct(
    site: Site,
    uid: str,
    corrections: Corrections,
    *,
    image_uid: str | None = None,
    comment: str = "",
    dry_run: bool = False,
) -> Outcome:
    """Measure a study again with a reviewer's corrections, and sign that.

    The corrections stand in place of earlier ones; they are for the image that is reported.

    Parameters
    ----------
    site : Site
        The node.
    uid : str
        Study Instance UID.
    corrections : Corrections
        Levels to leave out, disc lines, labels; none returns to the automatic measurement.
    image_uid : str or None
        SOP Instance UID of the image to report; empty for the automatic choice, None for what stands.
    comment : str
        Why, in the reviewer's own words.
    dry_run : bool
        Only return what would be signed.

    Raises
    ------
    NotAReviewer
        If the login may not sign.
    NotFound
        If there is no such study.
    CorrectionError
        If a correction cannot be carried out.
    ReviewRefused
        If the state does not allow it, the study is at work, or no score would be left.
    """
    comment = worded(comment, required=not dry_run)
    case = opened(site, uid, ReviewEvent.CORRECT)
    standing = _corrected(case, corrections, image_uid)
    selection = assemble(site, case.study, case.instances, tried=standing)
    spine = _reported(selection)
    shown = spine.instance.sop_instance_uid
    if standing.image_uid and shown != standing.image_uid:
        raise ReviewRefused(
            f"{standing.image_uid} is no picture of a spine in this study.",
            remedy="Pictures: " + ", ".join(_pictures(selection)) + ".",
        )
    if corrections and shown != standing.corrected_image:
        # without the old choice another image is reported, and it is the one that is meant
        standing = replace(standing, corrected_image=shown)
        selection = assemble(site, case.study, case.instances, tried=standing)
        spine = _reported(selection)
    if spine.analysis.status is not AnalysisStatus.SCORED:
        reason = spine.analysis.reason
        raise ReviewRefused(
            f"With this correction there is no score: {text.sentence(reason) if reason else ''}".strip(),
            remedy="Reading physician: correct it otherwise, or `tbsnode study reject` it.",
        )
    content = content_digest(publish.stated(site, case.study, selection))
    return _sign(site, case, selection, _Act(comment, standing, content, dry_run))


def _corrected(case: Case, corrections: Corrections, image_uid: str | None) -> reviews.Standing:
    """Return what would stand; refuse what changes nothing, except to bring a rejected result back."""
    before = case.standing
    chosen = before.image_uid if image_uid is None else image_uid
    on = chosen or str(case.newest.result["sop_instance_uid"])
    made = reviews.Standing(
        corrections=corrections, corrected_image=on if corrections else "", image_uid=chosen
    )
    if made == before and not (case.acts and case.acts[-1].is_rejection):
        raise ReviewRefused(
            "This corrects nothing.",
            remedy="Name --exclude, --disc, --shift or --image; `tbsnode study accept` signs what is there.",
        )
    return made


def _require_priors(spine: Spine) -> None:
    """Say that a result differs because the PACS does not answer now, if so."""
    course = spine.analysis.follow_up
    missed = [f for f in course.findings if f.code is Code.PRIORS_NOT_FETCHED] if course else []
    if missed:
        raise ReviewRefused(
            f"The result cannot be found again just now; nothing was signed. {text.sentence(missed[0])}",
            remedy=text.remedy(Code.PRIORS_NOT_FETCHED),
        )


def _pictures(selection: Selection) -> list[str]:
    spines = (selection.reported, *selection.others)
    return sorted({spine.instance.sop_instance_uid for spine in spines if spine is not None})


def _reported(selection: Selection) -> Spine:
    """Return what would be signed; refuse where nothing may be."""
    reason = selection.reason
    if selection.reported is None or (reason is not None and reason.code is not Code.STUDY_TOO_OLD):
        said = text.sentence(reason) if reason else ""
        act = text.remedy(reason.code) if reason else ""
        raise ReviewRefused(f"There is nothing to sign. {said}".strip(), remedy=act)
    return selection.reported


@dataclass(frozen=True, slots=True)
class _Act:
    comment: str
    standing: reviews.Standing
    content: str
    dry_run: bool


def _sign(site: Site, case: Case, selection: Selection, act: _Act) -> Outcome:
    spine = _reported(selection)
    stored = table.as_json(spine.analysis)
    signature = Review(
        action=ReviewAction(case.event.value),
        reviewer=case.reviewer,
        host=case.host,
        at=datetime.fromtimestamp(0, UTC),
        version=case.signatures + 1,
        comment=act.comment,
        corrections=act.standing.corrections,
        image_uid=act.standing.image_uid,
        changes=changes(case.stands.result, stored),
    )
    if not act.dry_run:
        signature, at = begun(site, case, signature, act.content)
        report = publish.stated(site, case.study, selection, at=at, review=signature)
        made = publish.make_instances(site, case.study, spine, report)
        context = results.AnalysisContext(
            generation=case.study.generation,
            instance_id=spine.instance.id,
            reported=True,
            published=True,
            content_digest=act.content,
            result_digest=report.result_digest,
            content_at=at,
            result=stored | ({"coding": coding.as_json(report.coding)} if report.coding else {}),
        )
        with site.database.transaction() as tx:
            require_first(tx, case)
            analysis_id = results.add_analysis(tx, case.study.id, spine.analysis, context)
            reviews.add_review(tx, case.study.id, analysis_id, signature, act.standing.corrected_image)
            publish.queue(tx, site, case.study, analysis_id, made)
            tell(tx, case, signature)
    return outcome(case, signature, stored, dry_run=act.dry_run)
