"""Old files are deleted, rows are kept: what was received and made, once everybody has it.

Off unless the site says after how many days. Nothing that is unsent, held, unsigned or not committed
is ever deleted, however full the disk is: a full disk is answered with 0xA700, and the sender keeps
its copy. Studies that may be needed as earlier examinations stay for years, unless the PACS gives
them back.

How old something is says a time that scanners bear out, not the clock alone (see `trusted_time`); and
what was examined since is not old, whatever the clock said when it came.

A file is put aside first and deleted a minute later: the same instance may be arriving again in this
moment, finds its file there and counts on it. Then it is put back.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.errors import NotFound, ResourceError, ReviewRefused
from tbsnode.pipeline import acting
from tbsnode.pipeline.study_dates import study_age_days
from tbsnode.pipeline.trusted_time import DAY_S, TrustedTime, trusted_time
from tbsnode.reasons import Code
from tbsnode.store import audit, catalogue, deliveries, retention

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tbsnode.pipeline.site import Site
    from tbsnode.store.database import Transaction
    from tbsnode.store.retention import Candidate

ASIDE = ".gone"
GRACE_S = 60.0  # longer than any transaction of intake
_REMEMBERED_S = 30 * DAY_S  # files put aside are looked for this long
_NEVER_A_PRIOR = (Code.NOT_AP_SPINE.value, Code.NO_IMAGE.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """One study whose files are, or would be, deleted."""

    study_instance_uid: str
    study_date: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run did, or would do.

    Attributes
    ----------
    deleted : tuple of Deleted
        By study.
    kept : dict of str to int
        Old studies that stay, by reason: unsent, held, unsigned, uncommitted, a possible prior ...
    after : int
        Row of the last study that was looked at; 0 where there is none behind it.
    clock_ahead_days : int
        Where the clock was not trusted: by how much it is ahead of the newest studies.
    """

    deleted: tuple[Deleted, ...]
    kept: dict[str, int]
    after: int = 0
    clock_ahead_days: int = 0


def run(
    site: Site,
    *,
    dry_run: bool = False,
    after: int = 0,
    most: float = math.inf,
    most_looked_at: float = math.inf,
    trust_clock: bool = False,
) -> Outcome:
    """Delete the files of studies that are old and that everybody has.

    Parameters
    ----------
    site : Site
        With the site's rule in its policy; 0 days: nothing is deleted.
    dry_run : bool
        Only say what would be.
    after : int
        Begin behind the study of this row.
    most, most_looked_at : float
        Delete so many studies at most, and end after the portion that makes so many looked at.
    trust_clock : bool
        An administrator says that the clock is right, however long ago the newest study was made.

    Returns
    -------
    Outcome
        What was, or would be, deleted, and why the other old studies stay.
    """
    days = site.policy.retention_days
    if not dry_run:
        sweep(site)
    if days <= 0:
        return Outcome(deleted=(), kept={})
    with site.database.read() as tx:
        time_ = trusted_time(tx, kept_days=days)
        now = tx.now if trust_clock else time_.now
    deleted: list[Deleted] = []
    kept: Counter[str] = Counter()
    looked_at = 0
    while looked_at < most_looked_at:
        ids, old = _old(site, now, after)
        if not ids:
            after = 0
            break
        for candidate, obstacle in old:
            why = obstacle or ("" if dry_run else _delete(site, candidate, now))
            if why:
                kept[why] += 1
                continue
            deleted.append(_told(candidate))
            if len(deleted) >= most:
                return _outcome(deleted, kept, candidate.id, time_, trust_clock)
        looked_at, after = looked_at + len(ids), ids[-1]
    return _outcome(deleted, kept, after, time_, trust_clock)


def _old(site: Site, now: float, after: int) -> tuple[tuple[int, ...], list[tuple[Candidate, str]]]:
    """Return a portion of studies, and the old ones among them, each with what stands against it.

    Only looked at: most old studies stay for years, and a transaction that writes is for those that do not.
    """
    with site.database.read() as tx:
        ids = retention.portion(tx, after=after)
        found = retention.candidates(tx, ids, before=now - site.policy.retention_days * DAY_S)
        return ids, [(each, _obstacle(tx, site, each, now)) for each in found]


def _outcome(
    deleted: list[Deleted], kept: Counter[str], after: int, time_: TrustedTime, trust_clock: bool
) -> Outcome:
    ahead = time_.ahead_days if time_.is_doubtful and not trust_clock else 0
    return Outcome(deleted=tuple(deleted), kept=dict(kept), after=after, clock_ahead_days=ahead)


def _told(candidate: Candidate) -> Deleted:
    return Deleted(
        study_instance_uid=candidate.study_instance_uid,
        study_date=candidate.study_date,
        files=candidate.files,
        bytes=candidate.bytes,
    )


def _obstacle(tx: Transaction, site: Site, candidate: Candidate, now: float) -> str:
    age_days = study_age_days(candidate.study_date, now)
    if age_days is not None and -1 <= age_days < site.policy.retention_days:
        return "examined since"  # the clock was behind when it came
    # first what needs no look at other rows: for years, that is most of what is old
    why = _as_prior(site, candidate, now)
    committing = [peer.name for peer in site.peers if peer.commitment]
    signing = bool(site.policy.reviewers)
    return why or retention.obstacle(tx, candidate.id, committing=committing, signing=signing)


def _as_prior(site: Site, candidate: Candidate, now: float) -> str:
    """Say that a study may be needed as an earlier examination that no PACS would give back."""
    if site.policy.priors_from or candidate.reason in _NEVER_A_PRIOR:
        return ""
    age_days = study_age_days(candidate.study_date, now)
    if age_days is None:
        age_days = int((now - candidate.touched_at) // DAY_S)
    return "a possible prior" if age_days < site.policy.keep_priors_years * 365.25 else ""


def _delete(site: Site, candidate: Candidate, now: float) -> str:
    """Delete the files of one study, or say why they stay."""
    with site.database.transaction() as tx:
        deliveries.lock_study(tx, candidate.id)  # until the commit nothing of it can become due
        age_s = site.policy.retention_days * DAY_S
        found = retention.candidates(tx, [candidate.id], before=now - age_s)
        if not found:  # something arrived since we looked, or somebody else deleted it
            return "touched just now"
        why = _obstacle(tx, site, found[0], now)
        if why:
            return why
        paths = _mark(tx, found[0], "retention deleted")
    _put_aside(site, paths)
    return ""


def _mark(tx: Transaction, candidate: Candidate, who: str) -> tuple[str, ...]:
    paths = retention.mark(tx, candidate.id)
    audit.add_event(
        tx,
        audit.PURGED,
        f"{who} {candidate.files} files, {candidate.bytes / 1e6:.1f} MB; the rows are kept",
        study_instance_uid=candidate.study_instance_uid,
        data={"files": candidate.files, "bytes": candidate.bytes},
    )
    return paths


def delete(site: Site, uid: str, *, discard: bool = False, dry_run: bool = False) -> Deleted:
    """Delete the files of one study now, however old it is; its rows and its story are kept.

    Parameters
    ----------
    site : Site
        The node.
    uid : str
        Study Instance UID.
    discard : bool
        Also where something is unsent, held or unsigned: it is given up.
    dry_run : bool
        Only say what would be.

    Raises
    ------
    NotFound
        If there is no such study, or nothing of it is on the disk.
    ReviewRefused
        If something of it is unsent, held or unsigned, or is being worked on.
    """
    with site.database.transaction() as tx:
        row = catalogue.study_by_uid(tx, uid)
        if row is None:
            raise NotFound(
                f"There is no study {uid} here.", remedy="`tbsnode study list` shows those there are."
            )
        deliveries.lock_study(tx, row.id)
        found = retention.candidates(tx, [row.id])
        if not found:
            raise NotFound(f"Nothing of study {uid} is on the disk.")
        (candidate,) = found
        _require_deletable(tx, site, candidate, discard=discard)
        if dry_run:
            return _told(candidate)
        if discard:
            retention.discard(tx, candidate.id)
        paths = _mark(tx, candidate, f"{acting.who()} deleted")
    _put_aside(site, paths)
    return _told(candidate)


def _require_deletable(tx: Transaction, site: Site, candidate: Candidate, *, discard: bool) -> None:
    if retention.at_work(tx, candidate.id):
        raise ReviewRefused("It is being worked on just now.", remedy="Try again in a minute.")
    committing = [peer.name for peer in site.peers if peer.commitment]
    why = retention.obstacle(tx, candidate.id, committing=committing, signing=bool(site.policy.reviewers))
    if why and not discard:
        raise ReviewRefused(
            f"It is {why}: deleting it would lose that.",
            remedy="Let it be finished, or say --discard to give it up.",
        )


# ---- the files ----------------------------------------------------------------------------------


def _put_aside(site: Site, paths: Iterable[str]) -> None:
    """Take files out of the way; `sweep` deletes them."""
    for name in paths:
        path = site.archive.path(name)
        try:
            os.replace(path, site.archive.path(name + ASIDE))
            os.utime(site.archive.path(name + ASIDE))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ResourceError(
                f"A file of the archive cannot be deleted: {error.strerror}.",
                remedy="Check the folder archive.path; `tbsnode retention run` goes on.",
            ) from error


def sweep(site: Site) -> int:
    """Delete what was put aside a minute ago, put back what came again; return how many were deleted.

    What a kill left under its own name after its row was marked is put aside.
    """
    deleted, after = 0, 0
    while True:
        with site.database.read() as tx:
            ids = retention.touched(tx, since=tx.now - _REMEMBERED_S, after=after)
            names = retention.gone(tx, ids)
        if not ids:
            return deleted
        deleted += _sweep(site, names)
        after = ids[-1]


def _sweep(site: Site, names: dict[str, int]) -> int:
    deleted, leftover = 0, {}
    now = time.time()
    folders = {name.rpartition("/")[0] for name in names}
    there = {folder for folder in folders if site.archive.path(folder).exists()}  # mostly none is
    for name, study_id in names.items():
        if name.rpartition("/")[0] not in there:
            continue
        aside = site.archive.path(name + ASIDE)
        if site.archive.path(name).exists():
            leftover[name] = study_id
        with suppress(FileNotFoundError):
            put_aside_at = aside.stat().st_mtime
            if put_aside_at > now + DAY_S:  # the clock was wrong: it begins anew
                os.utime(aside)
            if put_aside_at > now - GRACE_S:
                continue
            if _came_again(site, name, study_id):
                os.replace(aside, site.archive.path(name))
            else:
                site.archive.remove(name + ASIDE)
                deleted += 1
    with site.database.read() as tx:
        vouched = retention.vouched(tx, leftover)
    _put_aside(site, [name for name in leftover if name not in vouched])
    return deleted


def _came_again(site: Site, name: str, study_id: int) -> bool:
    """Tell whether a row counts on a file that was put aside."""
    if site.archive.path(name).exists():
        return False  # the arrival wrote it anew
    with site.database.read() as tx:
        return bool(retention.vouched(tx, {name: study_id}))
