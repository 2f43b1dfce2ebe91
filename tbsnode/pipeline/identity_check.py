"""Before a late sending the destination is asked whom the study belongs to by now.

Between receipt and a retry, a resend or a reprocess, a study may have been merged to another
patient, corrected or deleted at the PACS. A result with the old identity would undo that work.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.net import scu
from tbsnode.reasons import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tbsnode.model import InstanceIdentity, Peer

log = logging.getLogger(__name__)

_LETTERS_FOR_ONE = 3  # that an archive writes instead of one its character set lacks


def changed_at(peer: Peer, identity: InstanceIdentity) -> Finding | None:
    """Ask a destination if the study still belongs to the patient and order we know.

    Parameters
    ----------
    peer : Peer
        The destination.
    identity : InstanceIdentity
        The header that our result states.

    Returns
    -------
    Finding or None
        `IDENTITY_CHANGED` with the names of the attributes that differ; None where nothing differs
        or the destination cannot be asked. An attribute that one side leaves empty does not differ:
        many scanners send no accession number, and many archives return only what was asked with a
        value.

    Raises
    ------
    PeerUnreachable, AssociationRejected
        If the destination cannot be reached, or cannot answer for the moment; the delivery is tried again
        later.
    """
    try:
        found = scu.find_study(peer, identity.study_instance_uid)
    except (PeerUnreachable, AssociationRejected):
        raise
    except PeerError as error:  # it offers no query, or cannot answer this one
        log.warning(
            "not asked whose the study is: %s", error, extra={"action": "delivery.identity_not_asked"}
        )
        return None
    if found is None:
        # where we forward the originals ourselves, the study is not there before we send
        gone = "source" not in peer.send
        return _finding(("study",)) if gone else None
    return _finding(tuple(_differences(found, identity)))


def _finding(attributes: tuple[str, ...]) -> Finding | None:
    if not attributes:
        return None
    return Finding(Code.IDENTITY_CHANGED, values=(("attributes", ", ".join(attributes)),))


def _differences(found: scu.FoundStudy, identity: InstanceIdentity) -> Iterator[str]:
    ours = identity.demographics
    pairs = (
        ("Patient ID", found.patient_id, ours.patient_id),
        ("Patient's Name", _plain(name_at(found, ours.name)), _plain(ours.name)),
        ("Patient's Birth Date", found.birth_date, ours.birth_date),
        ("Accession Number", found.accession_number, identity.accession_number),
    )
    for attribute, theirs, own in pairs:
        if theirs and own and theirs != own:
            yield attribute


def name_at(found: scu.FoundStudy, ours: str) -> str:
    """Return the patient's name at a destination; ours where the answer shows what is left of it.

    An archive may answer in a character set that cannot hold the name, whatever was asked for: then
    letters are missing, or others stand in their place.

    Examples
    --------
    >>> answer = scu.FoundStudy(name="?uczy?ski^Jan", encodings=("latin_1",))
    >>> name_at(answer, "Łuczyński^Jan"), name_at(answer, "Żak^Jan")
    ('Łuczyński^Jan', '?uczy?ski^Jan')
    """
    held = [letter for letter in _plain(ours) if _holds(letter, found.encodings)]
    lost = len(_plain(ours)) - len(held)
    shown = _plain(found.name)
    letters = iter(shown)
    left = all(letter in letters for letter in "".join(held).rstrip("^"))
    is_rest = left and len(shown) - len(held) <= _LETTERS_FOR_ONE * lost
    return ours if found.name and is_rest and lost else found.name


def _holds(letter: str, encodings: Sequence[str]) -> bool:
    for encoding in encodings:
        with contextlib.suppress(UnicodeError, LookupError):
            letter.encode(encoding)
            return True
    return False


def _plain(name: str) -> str:
    """Return the alphabetic group of a person name; case, padding and trailing carets say nothing."""
    group = name.split("=")[0]
    return "^".join(" ".join(part.split()) for part in group.split("^")).rstrip("^").casefold()
