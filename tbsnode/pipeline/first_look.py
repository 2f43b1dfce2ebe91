"""What `serve` warns of at its start, where `check` was not run: it works, and somebody gets nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tbsnode.errors import ResourceError

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)


def warn(site: Site) -> None:
    """Warn of a disk below its watermark, and of signed results that nobody may sign.

    Parameters
    ----------
    site : Site
        The node that starts.
    """
    policy = site.policy
    try:
        site.archive.require_space(policy.min_free_bytes, policy.min_free_fraction)
    except ResourceError as error:
        told = "%s %s Senders are answered 0xA700 until then."
        log.warning(told, error.message, error.remedy, extra={"action": "serve.disk_low"})
    waiting = [peer.name for peer in site.peers if peer.release == "signed"]
    if waiting and not policy.reviewers:
        told = (
            "nobody may sign, and %s gets signed results only: they are kept, and wait."
            " Enter the reading physicians in [interpretation] reviewers, and start again."
        )
        log.warning(told, ", ".join(waiting), extra={"action": "serve.nobody_signs"})
