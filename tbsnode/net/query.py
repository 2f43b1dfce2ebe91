"""Earlier studies of a patient at an archive: C-FIND and C-MOVE, Study Root (PS3.4 annex C).

The archive sends what is moved to our own receiver, which knows it by its Move Originator. All of it
together has one limit of time: whoever waits for an archive has a report to finish. No message of an
error here holds anything of a patient.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from tbsnode.errors import PeerError, PeerUnreachable
from tbsnode.model import Peer
from tbsnode.net import status
from tbsnode.net.identifier import question, value, values
from tbsnode.net.requestor import PENDING, AssociationBroken, association, named
from tbsnode.net.upper_layer import IMPLICIT_VR_LITTLE_ENDIAN

__all__ = [
    "Archive",
    "ArchivedSeries",
    "ArchivedStudy",
    "AssociationBroken",
    "OutOfTime",
    "QueryFailed",
    "asking",
]

FIND: Final = str(StudyRootQueryRetrieveInformationModelFind)
MOVE: Final = str(StudyRootQueryRetrieveInformationModelMove)
_LAST_WAIT_S = 1.0  # for the answer to a release, however late it is
_MOST_MATCHES = 10_000  # an archive that ignores our keys would list everything it has


class QueryFailed(PeerError):
    """The archive answered a query or a retrieval with a failure; `why` says which, in a few words."""

    def __init__(self, message: str, *, peer: str, why: str) -> None:
        super().__init__(message, peer=peer)
        self.why = why


class OutOfTime(PeerUnreachable):
    """The archive did not finish in the time that it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedStudy:
    """What an archive says about a study, decoded and stripped; empty where it says nothing."""

    study_instance_uid: str
    patient_id: str = ""
    issuer: str = ""
    birth_date: str = ""
    sex: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedSeries:
    """What an archive says about a series; `instances` is None where it does not count them."""

    series_instance_uid: str
    modality: str = ""
    description: str = ""
    body_part_examined: str = ""
    station_name: str = ""
    instances: int | None = None


class Archive:
    """An archive that is being asked; made by `asking`.

    Parameters
    ----------
    peer : Peer
        Who it is.
    assoc : pynetdicom.association.Association
        Established, with both services accepted.
    deadline : float
        On the clock of `time.monotonic` [s].
    """

    def __init__(self, peer: Peer, assoc: Association, deadline: float) -> None:
        self._peer = peer
        self._assoc = assoc
        self._deadline = deadline
        self._messages = 0

    def studies(self, patient_id: str) -> tuple[ArchivedStudy, ...]:
        """Return the studies under exactly this Patient ID, whoever issued it.

        Raises
        ------
        QueryFailed
            If the archive refuses.
        OutOfTime, AssociationBroken
            If it does not answer to the end.
        """
        keys = ("StudyInstanceUID", "PatientBirthDate", "PatientSex", "IssuerOfPatientID")
        more = ("StudyDate", "StudyTime", "StudyDescription", "ModalitiesInStudy")
        found = self._find("STUDY", {"PatientID": patient_id}, (*keys, *more))
        studies = [_study(match) for match in found]
        # matching may ignore letter case or take characters of an ID for wildcards (PS3.4 C.2.2.2)
        return tuple(each for each in studies if each.patient_id == patient_id and each.study_instance_uid)

    def studies_of(self, study_date: str) -> tuple[ArchivedStudy, ...]:
        """Return the studies of a day, ``YYYYMMDD``, of whatever patient; raises as `studies` does."""
        more = ("StudyInstanceUID", "StudyTime", "StudyDescription", "ModalitiesInStudy")
        found = [_study(match) for match in self._find("STUDY", {"StudyDate": study_date}, more)]
        return tuple(each for each in found if each.study_instance_uid and each.study_date == study_date)

    def series(self, study_instance_uid: str) -> tuple[ArchivedSeries, ...]:
        """Return the series of a study; raises as `studies` does."""
        keys = ("SeriesInstanceUID", "Modality", "SeriesDescription", "BodyPartExamined", "StationName")
        more = ("NumberOfSeriesRelatedInstances",)
        found = self._find("SERIES", {"StudyInstanceUID": study_instance_uid}, (*keys, *more))
        series = [
            ArchivedSeries(
                series_instance_uid=value(match, "SeriesInstanceUID"),
                modality=value(match, "Modality"),
                description=value(match, "SeriesDescription"),
                body_part_examined=value(match, "BodyPartExamined"),
                station_name=value(match, "StationName"),
                instances=_count(match),
            )
            for match in found
        ]
        return tuple(each for each in series if each.series_instance_uid)

    def move(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """Let the archive send a series to our own receiver, and wait until it has.

        Raises
        ------
        QueryFailed
            If it refuses, or some of its instances did not arrive.
        OutOfTime, AssociationBroken
            If it does not answer to the end.
        """
        identifier = question("SERIES", {"StudyInstanceUID": study_instance_uid}, ())
        identifier.SeriesInstanceUID = series_instance_uid
        self._ready()
        answers = self._assoc.send_c_move(
            identifier, self._peer.calling_ae_title, MOVE, msg_id=self._next_message()
        )
        for answer, _ in self._timed(answers):
            code = int(answer.Status)
            if code not in (*PENDING, status.SUCCESS):
                raise self._failure("the retrieval", code)

    def _find(self, level: str, wanted: dict[str, str], asked: Sequence[str]) -> list[Dataset]:
        self._ready()
        identifier = question(level, wanted, asked)
        answers = self._assoc.send_c_find(identifier, FIND, msg_id=self._next_message())
        found = []
        for answer, match in self._timed(answers):
            code = int(answer.Status)
            if code in PENDING and match is not None:
                found.append(match)
            elif code not in (*PENDING, status.SUCCESS):
                raise self._failure("the query", code)
            if len(found) > _MOST_MATCHES:
                raise QueryFailed(
                    f"{named(self._peer)} lists more than {_MOST_MATCHES} matches.",
                    peer=self._peer.name,
                    why="the query finds too much",
                )
        return found

    def _timed(
        self, answers: Iterator[tuple[Dataset, Dataset | None]]
    ) -> Iterator[tuple[Dataset, Dataset | None]]:
        """Yield answers until the last one; no wait goes beyond the deadline."""
        for answer in answers:
            if "Status" not in answer[0]:
                if self._remaining() <= 0.0:
                    raise self._late()
                raise self._broken()
            yield answer
            if int(answer[0].Status) in PENDING:
                self._limit()

    def _ready(self) -> None:
        """See that there is somebody to ask, and time to wait for the answer."""
        if not self._assoc.is_established:
            raise self._broken()
        self._limit()

    def _limit(self) -> None:
        """Let the next wait end at the deadline."""
        remaining = self._remaining()
        if remaining <= 0.0:
            raise self._late()
        self._assoc.dimse_timeout = remaining

    def _remaining(self) -> float:
        return self._deadline - time.monotonic()

    def _broken(self) -> AssociationBroken:
        remedy = f"See its log: it may not allow {self._peer.calling_ae_title} to query and retrieve."
        return AssociationBroken(f"{named(self._peer)} broke off.", peer=self._peer.name, remedy=remedy)

    def _late(self) -> OutOfTime:
        return OutOfTime(f"{named(self._peer)} did not finish in time.", peer=self._peer.name)

    def _failure(self, what: str, code: int) -> QueryFailed:
        why = f"{what} failed: {_MEANINGS.get(code) or status.describe(code)}"
        return QueryFailed(f"{named(self._peer)}: {why}.", peer=self._peer.name, why=why)

    def _next_message(self) -> int:
        self._messages = self._messages % 0xFFFF + 1
        return self._messages


# PS3.4 table C.4-2: what a retrieval says beyond the general statuses
_MEANINGS: Final = {
    0xA701: "0xA701 Out of resources: unable to count the matches",
    0xA702: "0xA702 Out of resources: unable to send",
    0xA801: "0xA801 Move destination unknown",
    0xB000: "0xB000 Not every instance could be sent",
}


@contextlib.contextmanager
def asking(peer: Peer, *, timeout_s: float, retrieving: bool = True) -> Iterator[Archive]:
    """Open an association for queries and retrievals that has `timeout_s` for all that is asked.

    Parameters
    ----------
    peer : Peer
        Who is asked.
    timeout_s : float
        For all of it together [s].
    retrieving : bool
        Whether something will be moved; False for queries alone.

    Raises
    ------
    QueryFailed
        If the peer offers no Study Root query or no retrieval.
    PeerUnreachable, AssociationRejected
        If there is no association, or it does not last.
    """
    deadline = time.monotonic() + timeout_s
    services = ((FIND, "query"), (MOVE, "retrieval")) if retrieving else ((FIND, "query"),)
    proposed = [(uid, IMPLICIT_VR_LITTLE_ENDIAN) for uid, _ in services]
    with association(peer, proposed, limit_s=timeout_s) as assoc:
        accepted = {str(each.abstract_syntax) for each in assoc.accepted_contexts}
        for uid, what in services:
            if uid not in accepted:
                raise QueryFailed(
                    f"{named(peer)} does not offer Study Root {what}.",
                    peer=peer.name,
                    why=f"it offers no {what}",
                )
        yield Archive(peer, assoc, deadline)
        assoc.acse_timeout = max(_LAST_WAIT_S, deadline - time.monotonic())


def _study(match: Dataset) -> ArchivedStudy:
    return ArchivedStudy(
        study_instance_uid=value(match, "StudyInstanceUID"),
        patient_id=value(match, "PatientID"),
        issuer=value(match, "IssuerOfPatientID"),
        birth_date=value(match, "PatientBirthDate"),
        sex=value(match, "PatientSex").upper()[:1],
        study_date=value(match, "StudyDate"),
        study_time=value(match, "StudyTime"),
        description=value(match, "StudyDescription"),
        modalities=values(match, "ModalitiesInStudy"),
    )


def _count(match: Dataset) -> int | None:
    count = value(match, "NumberOfSeriesRelatedInstances")
    return int(count) if count.isdecimal() and count.isascii() else None
