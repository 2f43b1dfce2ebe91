"""Is the archive the one that the database speaks of? A shared folder that is not mounted looks empty.

A node that starts on another one's archive, or on the empty folder below a share that is not mounted, would
take studies to where nobody looks for them, and fail all others. So an archive is marked with its database.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tbsnode.errors import ConfigError, ResourceError, TbsNodeError
from tbsnode.store import audit, audit_chain, snapshot
from tbsnode.store.archive import DATABASE_ID

if TYPE_CHECKING:
    from tbsnode.pipeline.site import Site
    from tbsnode.store.archive import Archive
    from tbsnode.store.database import Transaction

log = logging.getLogger(__name__)

_LOOKED_AT = 5  # one lost file is another matter: `tbsnode db verify`
_MARKED = audit.EventFilter(action="archive.marked")


def objection(tx: Transaction, archive: Archive) -> TbsNodeError | None:
    """Return what is wrong: the archive of another database, or none of the newest files of this one."""
    marked, own = archive.database_id(), audit_chain.first(tx)
    if marked and marked != own:
        return ConfigError(
            f"{archive.root} is the archive of another database ({DATABASE_ID} in it says so).",
            remedy="Correct archive.path or [database] url. Where that database is lost for good:"
            " `tbsnode serve --adopt-archive`, once.",
        )
    newest = snapshot.newest_paths(tx, _LOOKED_AT)
    if not newest or any(archive.path(path).exists() for path in newest):
        return None
    return ResourceError(
        f"{archive.root} has none of the newest {len(newest)} files that the database knows.",
        remedy="Mount the shared folder, correct archive.path, or restore a backup. Where its files are lost"
        " for good: `tbsnode serve --adopt-archive`, once.",
    )


def require(site: Site, *, adopt: bool) -> bool:
    """Refuse another archive than that of the database, before anything is taken into it.

    Parameters
    ----------
    site : Site
        The node.
    adopt : bool
        Whether an administrator wants it in spite of an objection.

    Returns
    -------
    bool
        Whether it may be marked as ours.

    Raises
    ------
    ConfigError, ResourceError
        If it is another archive. Files that are gone are logged only where it is marked as ours (what
        arrives is in the right place), and where no archive ever was: a node of before there were marks.
    """
    marked = site.archive.database_id()
    with site.database.read() as tx:
        own, problem = audit_chain.first(tx), objection(tx, site.archive)
        if problem is None:
            return True
        ours = marked == own if marked else not audit.recent_events(tx, 1, _MARKED)
    if not adopt and not ours:
        raise problem
    log.error("%s", problem, extra={"action": "archive.elsewhere"})
    return adopt


def mark(site: Site) -> None:
    """Mark the archive as that of this database."""
    with site.database.transaction() as tx:
        audit_chain.seal(tx)
        own = audit_chain.first(tx)
    if not own or site.archive.database_id() == own:
        return
    try:
        site.archive.mark(own)
    except ResourceError as error:  # a full disk is another matter
        log.warning("the archive was not marked: %s", error, extra={"action": "archive.unmarked"})
        return
    with site.database.transaction() as tx:
        audit.add_event(tx, str(_MARKED.action), f"{site.archive.root} is the archive of this database")
