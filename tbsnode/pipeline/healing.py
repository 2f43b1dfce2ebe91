"""A file of the archive that is gone or damaged is not measured, and is put back when it is sent again.

A scanner that was told by storage commitment that we do not have an instance sends it once more. Its row is
there and its bytes are equal to what the row says, so it counts as a duplicate; the file must not stay lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbsnode.dicom import part10
from tbsnode.errors import DamagedFile, TbsNodeError
from tbsnode.store import audit, catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tbsnode.pipeline.site import Site
    from tbsnode.store.records import InstanceRow


def heal(site: Site, row: InstanceRow, received: Path, digest: str) -> bool:
    """Put a received file in the place of a lost or damaged one; False where all is well.

    Parameters
    ----------
    site : Site
        Archive and database.
    row : InstanceRow
        The instance that the archive should have.
    received : Path
        The file that has just come, in ``incoming``; moved away where it is needed.
    digest : str
        Of its data set.
    """
    if digest != row.data_set_sha256 or _is_whole(site, row):
        return False
    size = received.stat().st_size
    wanted = site.archive.relative_path(
        row.identity.study_instance_uid, row.sop_instance_uid, row.data_set_sha256[:16]
    )
    kept = site.archive.keep(received, wanted)
    with site.database.transaction() as tx:
        catalogue.set_instance_file(tx, row.id, path=kept, size_bytes=size)
        audit.add_event(
            tx,
            "instance.healed",
            f"{row.sop_instance_uid} was lost or damaged in the archive and came again",
            study_instance_uid=row.identity.study_instance_uid,
        )
    return True


def require_whole(site: Site, rows: Iterable[InstanceRow]) -> None:
    """Hold the files of instances against their rows, before anything is measured or read from them.

    Raises
    ------
    DamagedFile
        If one is gone, or is not what was received.
    """
    for row in rows:
        if not _is_whole(site, row):
            there = site.archive.path(row.path).exists()
            raise DamagedFile(
                f"The archived file {row.path} {'is not what was received' if there else 'is missing'}.",
                remedy="Restore it or let its sender send it again; then `tbsnode queue retry`.",
            )


def _is_whole(site: Site, row: InstanceRow) -> bool:
    path = site.archive.path(row.path)
    try:
        return path.stat().st_size == row.size_bytes and part10.is_as_received(
            path, transfer_syntax_uid=row.transfer_syntax_uid, data_set_sha256=row.data_set_sha256
        )
    except (OSError, TbsNodeError):
        return False
