"""What we ask of peers: C-STORE, C-ECHO, what they accept, and C-FIND of a study.

pynetdicom's outcomes become values and errors here and nowhere else. Every wait has an end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from tbsnode.errors import PeerError, PeerUnreachable
from tbsnode.model import Outgoing, Peer, SendOutcome
from tbsnode.net import status
from tbsnode.net.identifier import encodings, question, value
from tbsnode.net.requestor import (
    PENDING,
    AssociationBroken,
    Context,
    accepted_contexts,
    answers_to,
    association,
    mistaken,
    named,
)
from tbsnode.net.upper_layer import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

__all__ = [
    "IMPLICIT_ONLY", "AssociationBroken", "EchoResult", "FoundStudy",
    "NoQuery", "accepts", "echo", "find_study", "send",
]  # fmt: skip

IMPLICIT_ONLY: Final = "implicit_only"

_MAX_CONTEXTS = 128  # PS3.8 table 9-18: odd context IDs in one byte


class NoQuery(PeerError):
    """The peer offers no Study Root queries."""


@dataclass(frozen=True, slots=True)
class EchoResult:
    """The outcome of a C-ECHO.

    Attributes
    ----------
    ok : bool
        Whether the peer answered with success.
    text : str
        What happened, for an administrator.
    milliseconds : float
        From the connection to the answer.
    """

    ok: bool
    text: str
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """What a peer says about a study, decoded and stripped; empty where it says nothing.

    `encodings` are Python's names of the character sets of its answer: what they cannot hold, it cannot say.
    """

    patient_id: str = ""
    name: str = ""
    birth_date: str = ""
    accession_number: str = ""
    issuer: str = ""
    sex: str = ""
    encodings: tuple[str, ...] = field(default=("utf-8",), compare=False)


def send(peer: Peer, items: Sequence[Outgoing]) -> tuple[SendOutcome, ...]:
    """Send archived instances in one association, their data sets byte by byte as they are.

    Parameters
    ----------
    peer : Peer
        Where to.
    items : sequence of Outgoing
        Part 10 files.

    Returns
    -------
    tuple of SendOutcome
        One for each item, in order. Where the peer takes the SOP class, but not in the item's
        transfer syntax, the category is ``"not_accepted"``; if it takes it in Implicit VR Little
        Endian, the text is `IMPLICIT_ONLY`: the caller encodes the instance anew and sends again.

    Raises
    ------
    PeerUnreachable
        If there was no association; as `AssociationBroken` if it broke, with the outcomes known.
    AssociationRejected
        If the peer rejected it; `transient` says whether a later try may help.
    """
    if not items:
        return ()
    outcomes: list[SendOutcome] = []
    with association(peer, _proposal(items)) as assoc:
        accepted = accepted_contexts(assoc)
        for index, item in enumerate(items):
            if (item.sop_class_uid, item.transfer_syntax_uid) not in accepted:
                outcomes.append(_not_accepted(item, accepted))
                continue
            answer = _store(assoc, item, index)
            if "Status" not in answer:
                what = "gave an answer to something else" if mistaken(assoc) else "broke the association"
                raise AssociationBroken(
                    f"{named(peer)} {what} after {len(outcomes)} of {len(items)} instances.",
                    peer=peer.name,
                    outcomes=tuple(outcomes),
                )
            outcomes.append(_outcome(item, answer))
    return tuple(outcomes)


def _proposal(items: Sequence[Outgoing]) -> list[Context]:
    exact = list(dict.fromkeys((item.sop_class_uid, item.transfer_syntax_uid) for item in items))
    implicit = [(uid, IMPLICIT_VR_LITTLE_ENDIAN) for uid, _ in exact]
    # An association proposes at most 128 contexts, and the fallback is what can be spared.
    return list(dict.fromkeys([*exact, *implicit]))[:_MAX_CONTEXTS]


def _store(assoc: Association, item: Outgoing, index: int) -> Dataset:
    if not assoc.is_established:
        return Dataset()
    return assoc.send_c_store(item.path, msg_id=index % 0xFFFF + 1)


def _not_accepted(item: Outgoing, accepted: set[Context]) -> SendOutcome:
    classes = {uid for uid, _ in accepted}
    if (item.sop_class_uid, IMPLICIT_VR_LITTLE_ENDIAN) in accepted:
        text = IMPLICIT_ONLY
    elif item.sop_class_uid in classes:
        text = "the peer does not accept this transfer syntax"
    else:
        text = "the peer does not accept this SOP class"
    return SendOutcome(
        sop_instance_uid=item.sop_instance_uid, status=None, category="not_accepted", text=text
    )


def _outcome(item: Outgoing, answer: Dataset) -> SendOutcome:
    code = int(answer.Status)
    comment = str(answer.get("ErrorComment", "") or "").strip()
    described = status.describe(code)
    return SendOutcome(
        sop_instance_uid=item.sop_instance_uid,
        status=code,
        category=status.category(code),
        text=f"{described}: {comment}" if comment else described,
    )


def echo(peer: Peer) -> EchoResult:
    """Ask a peer whether it is there (C-ECHO); the answer says what is wrong if it is not."""
    started = time.perf_counter()
    try:
        with association(peer, [(Verification, IMPLICIT_VR_LITTLE_ENDIAN)]) as assoc:
            if not assoc.accepted_contexts:
                answer = None
            else:
                answer = assoc.send_c_echo()
            elapsed = (time.perf_counter() - started) * 1000.0
    except PeerError as error:
        return EchoResult(False, str(error), (time.perf_counter() - started) * 1000.0)
    if answer is None:
        return EchoResult(False, f"{named(peer)} does not accept Verification.", elapsed)
    if "Status" not in answer:
        return EchoResult(False, f"{named(peer)} accepted the association, but did not answer.", elapsed)
    code = int(answer.Status)
    return EchoResult(code == status.SUCCESS, f"{named(peer)}: {status.describe(code)}", elapsed)


def accepts(peer: Peer, sop_class_uids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Ask which storage classes a peer takes, sending nothing.

    Parameters
    ----------
    peer : Peer
        Whom.
    sop_class_uids : sequence of str
        At most 64.

    Returns
    -------
    dict
        For each class, which of Explicit and Implicit VR Little Endian it accepts; empty for none.

    Raises
    ------
    PeerUnreachable, AssociationRejected
        As `send`.
    """
    syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    with association(peer, [(uid, syntax) for uid in sop_class_uids for syntax in syntaxes]) as assoc:
        accepted = accepted_contexts(assoc)
    return {uid: tuple(each for each in syntaxes if (uid, each) in accepted) for uid in sop_class_uids}


def find_study(peer: Peer, study_instance_uid: str) -> FoundStudy | None:
    """Ask a peer what it knows about a study (C-FIND, Study Root, PS3.4 C.6.2).

    Returns
    -------
    FoundStudy or None
        None where the peer does not have the study.

    Raises
    ------
    NoQuery
        If the peer does not offer the service.
    PeerError
        If its answer is a failure.
    PeerUnreachable, AssociationRejected
        As `send`, and where the peer is out of resources: asking again later may help.
    """
    asked = ("PatientID", "PatientName", "PatientBirthDate", "AccessionNumber")
    more = ("IssuerOfPatientID", "PatientSex")  # many archives do not answer these
    identifier = question("STUDY", {"StudyInstanceUID": study_instance_uid}, (*asked, *more))
    model = StudyRootQueryRetrieveInformationModelFind
    with association(peer, [(model, IMPLICIT_VR_LITTLE_ENDIAN)]) as assoc:
        if not assoc.accepted_contexts:
            raise NoQuery(f"{named(peer)} does not offer Study Root queries.", peer=peer.name)
        found = None
        for code, match in answers_to(peer, assoc.send_c_find(identifier, model)):
            if (
                code in PENDING
                and match is not None
                and value(match, "StudyInstanceUID") == study_instance_uid
            ):
                found = _found(match)
            elif code not in (*PENDING, status.SUCCESS):
                raise _failed_query(peer, code)
    return found


def _failed_query(peer: Peer, code: int) -> PeerError:
    message = f"{named(peer)} failed the query: {status.describe(code)}."
    busy = status.category(code) == "out_of_resources"
    return PeerUnreachable(message, peer=peer.name) if busy else PeerError(message, peer=peer.name)


def _found(match: Dataset) -> FoundStudy:
    return FoundStudy(
        patient_id=value(match, "PatientID"),
        name=value(match, "PatientName"),
        birth_date=value(match, "PatientBirthDate"),
        accession_number=value(match, "AccessionNumber"),
        issuer=value(match, "IssuerOfPatientID"),
        sex=value(match, "PatientSex").upper(),
        encodings=encodings(match),
    )
