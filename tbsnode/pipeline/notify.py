"""Tell a webhook that somebody must act: JSON by POST, without a patient's data.

What is wrong is a row as long as it lasts, so it is told once, also after a restart: at least once,
with the same ID if it is told twice. Between two messages of one kind lies a minimum interval; what
comes up meanwhile is told together.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tbsnode.errors import ConfigError, ResourceError
from tbsnode.pipeline import trusted_time, webhook
from tbsnode.reasons import Code
from tbsnode.store import calibrations, notices, observed
from tbsnode.store.notices import Cause, Notice
from tbsnode.tbs.calibration import Kind

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Notify, Site
    from tbsnode.store.database import Transaction

log = logging.getLogger(__name__)

KINDS = (
    *("study_failed", "study_held", "delivery_refused"),
    "calibration_ended",
    *("nothing_sent", "disk_low", "certificate_expiring", "clock_doubtful"),
)
WARNED_DAYS = 30  # a hospital needs so long for a certificate
_NO_TBS = tuple(
    code.value for code in (Code.CALIBRATION_SUSPENDED, Code.CALIBRATION_EXPIRED, Code.SCANNER_UNCALIBRATED)
)
_MOST_SHOWN = 50
_TEXTS = {
    "study_failed": "Studies could not be analyzed. `tbsnode queue list --state failed` lists them.",
    "study_held": "Studies wait for a person. `tbsnode queue list --state held` lists them.",
    "delivery_refused": "Results were not delivered. `tbsnode queue list` says what was answered.",
    "calibration_ended": "A scanner sends without a calibration that holds: no TBS. See `tbsnode check`.",
    "nothing_sent": "A destination gets nothing while results wait. `tbsnode peer echo` tries it.",
    "disk_low": "The archive's disk is below its watermark: senders are answered 0xA700.",
    "clock_doubtful": "The clock is far ahead of the newest studies: retention waits. See `tbsnode check`.",
    "certificate_expiring": "A certificate expires soon or has expired: renew it.",
}


def turn(site: Site) -> int:
    """Look what is wrong, and tell the webhook what it does not know; return how many messages it took.

    Parameters
    ----------
    site : Site
        With the webhook in its policy; without one nothing is done.
    """
    settings = site.policy.notify
    if settings is None:
        return 0
    with site.database.read() as tx:  # nobody who writes waits for what is only looked at
        causes = [
            *notices.unwell_studies(tx),
            *notices.unwell_deliveries(tx),
            *notices.unsent(tx, after_s=settings.unsent_after_s),
            *calibration_ended(tx),
            *_clock(tx, site),
        ]
    causes += [*_disk(site), *_certificates(settings)]
    with site.database.transaction() as tx:
        notices.note(tx, causes, KINDS)
        waiting = {kind: notices.due(tx, kind, interval_s=settings.interval_s) for kind in KINDS}
    sent = 0
    for kind, found in waiting.items():
        try:
            taken = bool(found) and _post(settings, message(site, kind, found))
        except webhook.NotThere as error:  # the other kinds would wait as long for the same
            _postponed(str(error))
            break
        if taken:
            with site.database.transaction() as tx:
                notices.told(tx, found)
            sent += 1
    return sent


def message(site: Site, kind: str, found: Sequence[Notice]) -> dict[str, Any]:
    """Return what is posted about the causes of one kind.

    Parameters
    ----------
    site : Site
        The node.
    kind : str
        One of `KINDS`.
    found : sequence of Notice
        At least one; of very many the newest are shown.

    Returns
    -------
    dict
        `id` is the same if the same causes are told again; `causes` have IDs of their own.
    """
    shown = found[-_MOST_SHOWN:]
    return {
        "id": f"{site.policy.device_uid}/{kind}/{found[0].id}-{found[-1].id}",
        "node": site.policy.ae_title,
        "version": site.policy.version,
        "kind": kind,
        "text": _TEXTS[kind],
        "count": len(found),
        "causes": [
            {
                "id": one.id,
                "subject": one.subject,
                "since": datetime.fromtimestamp(one.created_at, UTC).isoformat(timespec="seconds"),
                **one.data,
            }
            for one in shown
        ],
    }


def send_test(site: Site, settings: Notify) -> int:
    """Post a message that says it is a test; return the status of success.

    Raises
    ------
    webhook.NotTaken, webhook.NotThere
        If it is not taken.
    """
    with site.database.read() as tx:
        now = tx.now
    body = {
        "id": f"{site.policy.device_uid}/test/{now:.0f}",
        "node": site.policy.ae_title,
        "version": site.policy.version,
        "kind": "test",
        "text": "A test by `tbsnode check --go-live`: nothing is wrong, nobody needs to act.",
        "count": 0,
        "causes": [],
    }
    return webhook.post(settings.webhook, body, token_file=settings.token_file)


def calibration_ended(tx: Transaction) -> tuple[Cause, ...]:
    """Return the scanners whose newest study had no calibration that holds, where the site has any."""
    if all(each.kind is Kind.REFERENCE for each in calibrations.active(tx)):
        return ()
    return tuple(
        Cause(kind="calibration_ended", subject=scanner, data={"reason": code})
        for scanner, codes in observed.newest_findings(tx).items()
        for code in _NO_TBS
        if code in codes
    )


def _clock(tx: Transaction, site: Site) -> tuple[Cause, ...]:
    if site.policy.retention_days <= 0 or not trusted_time.objection(tx):
        return ()
    return (Cause(kind="clock_doubtful", subject="clock"),)


def _disk(site: Site) -> tuple[Cause, ...]:
    try:
        site.archive.require_space(site.policy.min_free_bytes, site.policy.min_free_fraction)
    except ResourceError:
        return (Cause(kind="disk_low", subject="archive"),)
    return ()


def _certificates(settings: Notify) -> tuple[Cause, ...]:
    if not settings.certificates:
        return ()
    from tbsnode.net import tls  # the cryptography behind it is slow to load

    found = []
    for use, path in settings.certificates:
        try:
            left_s = tls.own_facts(path).expires_at.timestamp() - time.time()
        except ConfigError:
            found.append(Cause(kind="certificate_expiring", subject=use, data={"reason": "unreadable"}))
            continue
        if left_s < WARNED_DAYS * 86400:
            days = float(int(left_s // 86400))
            found.append(Cause(kind="certificate_expiring", subject=use, data={"days_left": days}))
    return tuple(found)


def _post(settings: Notify, body: dict[str, Any]) -> bool:
    """Post a message; False where it was not taken, and is told at the next turn.

    Raises
    ------
    webhook.NotThere
        If there was no answer.
    """
    try:
        webhook.post(settings.webhook, body, token_file=settings.token_file)
    except webhook.NotTaken as error:
        _postponed(str(error))
        return False
    return True


def _postponed(why: str) -> None:
    """Say why nobody was told; not where: the address may hold a secret."""
    text = "the webhook ([notify] webhook) did not take a notice: %s"
    log.warning(text, why, extra={"action": "notify.postponed"})
