"""A scanner that is set up wrongly refuses every study alike: after a while that is no news any more.

The refusals are stored and shown as always; what is paused is their reports to the PACS. The first
study of the scanner that is scored ends the pause.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tbsnode.errors import NotFound
from tbsnode.model import AnalysisStatus
from tbsnode.pipeline import acting
from tbsnode.reasons import Code, Finding
from tbsnode.store import audit, identity_changes

if TYPE_CHECKING:
    from tbsnode.pipeline.assemble import Selection
    from tbsnode.pipeline.site import Site
    from tbsnode.store.identity_changes import RefusalPause
    from tbsnode.store.records import StudyRow


def judged(site: Site, study: StudyRow, selection: Selection) -> Selection:
    """Withhold the report of a refusal where its scanner's are paused, or are from now on.

    Parameters
    ----------
    site : Site
        Whose policy says after how many refusals in a row.
    study : StudyRow
        The study at work.
    selection : Selection
        What it comes to.

    Returns
    -------
    Selection
        The same, or one that is stored and not published.
    """
    most = site.policy.refusal_pause_after
    if not most or not study.scanner or study.shadow or selection.reported is None:
        return selection
    analysis = selection.reported.analysis
    if analysis.status is AnalysisStatus.SCORED:
        with site.database.read() as tx:
            paused = identity_changes.is_paused(tx, study.scanner)
        if paused:
            _resume(site, study.scanner, "a study was scored")
        return selection
    if not selection.publish or analysis.reason is None:
        return selection
    if not _is_one_too_many(site, study, analysis.reason.code.value, most):
        return selection
    return replace(selection, publish=False, reason=Finding(Code.REFUSALS_PAUSED))


def _is_one_too_many(site: Site, study: StudyRow, code: str, most: int) -> bool:
    """Tell whether a refusal is withheld; the one that makes the row full begins the pause."""
    with site.database.read() as tx:
        if identity_changes.is_paused(tx, study.scanner):
            return True
        resumed_at = identity_changes.resumed_at(tx, study.scanner)  # they are counted from there
        before = identity_changes.latest_reasons(
            tx, study.scanner, besides=study.id, since=resumed_at, limit=most - 1
        )
    if before != (code,) * (most - 1):
        return False
    with site.database.transaction() as tx:
        identity_changes.pause_refusals(tx, study.scanner, code, most)
        audit.add_event(
            tx,
            "refusals.paused",
            f"{study.scanner}: refused {most} times in a row with {code}; its refusals are not reported now",
            data={"scanner": study.scanner, "code": code, "count": most},
        )
    return True


def paused(site: Site) -> tuple[RefusalPause, ...]:
    """Return the scanners whose refusals are not reported now."""
    with site.database.read() as tx:
        return identity_changes.refusal_pauses(tx)


def resume(site: Site, scanner: str) -> None:
    """Report the refusals of a scanner again.

    Raises
    ------
    NotFound
        If they are not paused.
    """
    by = acting.administrator()
    if not _resume(site, scanner, f"{by.login} on {by.host}"):
        raise NotFound(
            f"The refusals of {scanner} are not paused.", remedy="`tbsnode study refusals` lists which are."
        )


def _resume(site: Site, scanner: str, why: str) -> bool:
    with site.database.transaction() as tx:
        if not identity_changes.resume_refusals(tx, scanner):
            return False
        text = f"{scanner}: its refusals are reported again: {why}"
        audit.add_event(tx, "refusals.resumed", text, data={"scanner": scanner})
    return True
