"""Is the archive the one that the database speaks of? A shared folder that is not mounted looks empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.errors import ResourceError
from tbsnode.store import snapshot

if TYPE_CHECKING:
    from tbsnode.store.archive import Archive
    from tbsnode.store.database import Transaction

_LOOKED_AT = 5  # one lost file is another matter: `tbsnode db verify`


def objection(tx: Transaction, archive: Archive) -> ResourceError | None:
    """Return what is wrong where none of the newest files that rows vouch for is in the archive."""
    newest = snapshot.newest_paths(tx, _LOOKED_AT)
    if not newest or any(archive.path(path).exists() for path in newest):
        return None
    return ResourceError(
        f"{archive.root} has none of the newest {len(newest)} files that the database knows.",
        remedy="Mount the shared folder, correct archive.path, or restore a backup.",
    )
