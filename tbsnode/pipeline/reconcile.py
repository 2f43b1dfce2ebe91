"""The PACS and the catalogue side by side: studies that never came here, results that are not there.

After a downtime a scanner may have sent to the PACS alone, and a PACS that was restored from a backup
may have lost what it had acknowledged. Both are found by asking (C-FIND), and closed: missing results are
queued again, missing studies moved here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tbsnode.errors import ConfigError, NotFound, PeerError, ReviewRefused
from tbsnode.net import presence, query
from tbsnode.pipeline import acting, operate, release
from tbsnode.store import audit, catalogue, priors, readiness
from tbsnode.store import reconcile as store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tbsnode.model import Peer
    from tbsnode.pipeline.site import Site

_PORTION_DAYS = 100  # in one association
_OUR_KINDS = ("SR", "DOC", "KO")  # a study that has no other modality has no picture
_ASK_S = 60.0  # for one day
_MOVE_S = 600.0  # for one study


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is compared.

    Attributes
    ----------
    first, last : date
        Study dates, both included.
    destination : str
        Who is asked; empty for the first one.
    modalities : tuple of str
        As which densitometry is filed there; empty for what our scanners have sent so far.
    """

    first: date
    last: date
    destination: str = ""
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A study that the PACS has and that never came here.

    Attributes
    ----------
    study_instance_uid, study_date, modalities, description
        As the PACS states them.
    done : str
        What became of it.
    why : str
        Why it could not be fetched; empty where nobody tried.
    """

    study_instance_uid: str
    study_date: str
    modalities: tuple[str, ...]
    description: str
    done: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A published result that the PACS does not show.

    Attributes
    ----------
    study_instance_uid, study_date : str
        Which study.
    delivery : str
        State of the newest delivery there, with its reason.
    why : str
        ``"not sent"`` or ``"sent, and not there"``.
    done : str
        What became of it.
    """

    study_instance_uid: str
    study_date: str
    delivery: str
    why: str
    done: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What a comparison came to.

    Attributes
    ----------
    destination : str
        Who was asked.
    first, last : date
        Study dates.
    modalities : tuple of str
        What was looked for.
    compared : int
        Studies of these modalities at the destination.
    missing : tuple of Missing
        Studies that never came here.
    lacking : tuple of Lacking
        Results that are not there.
    strangers : dict of str to int
        Stations that never sent anything here, and how many studies of the time each has there: those
        of a new scanner that nobody pointed here, or of another device.
    """

    destination: str
    first: date
    last: date
    modalities: tuple[str, ...]
    compared: int
    missing: tuple[Missing, ...]
    lacking: tuple[Lacking, ...]
    strangers: dict[str, int]

    @property
    def is_closed(self) -> bool:
        """Whether nothing is missing that was not seen to."""
        return all(one.done for one in self.missing) and all(one.done for one in self.lacking)


def compare(site: Site, span: Span) -> Reconciliation:
    """Hold the catalogue against what a destination shows.

    Raises
    ------
    NotFound
        If there is no such destination, or no day in the span.
    ConfigError
        If nothing is known of what to look for.
    PeerError
        If the destination cannot be asked.
    """
    peer = next((each for each in site.peers if span.destination in ("", each.name)), None)
    if peer is None:
        names = ", ".join(each.name for each in site.peers) or "none"
        raise NotFound(
            f"There is no destination {span.destination}".strip() + ".", remedy=f"Configured: {names}."
        )
    days = _days(span)
    with site.database.read() as tx:
        sources = store.sources(tx)
    wanted = tuple(sorted(span.modalities or (sources.modalities - set(_OUR_KINDS))))
    if not wanted:
        raise ConfigError("No scanner has sent anything yet.", remedy="Say what to look for: --modality OT.")
    known = 0
    missing: list[Missing] = []
    strangers: Counter[str] = Counter()
    for start in range(0, len(days), _PORTION_DAYS):
        portion = days[start : start + _PORTION_DAYS]
        here, never_came = _portion(site, peer, portion, _Meant(wanted, sources, strangers))
        known, missing = known + here, missing + never_came
    with site.database.read() as tx:
        owed = store.published(tx, days[0], days[-1], peer.name)
    return Reconciliation(
        destination=peer.name,
        first=span.first,
        last=span.last,
        modalities=wanted,
        compared=known + len(missing),
        missing=tuple(missing),
        lacking=tuple(_lacking(site, peer, owed)),
        strangers=dict(sorted(strangers.items())),
    )


@dataclass(frozen=True, slots=True)
class _Meant:
    """What is looked for, and a tally of the stations that are not known."""

    modalities: Sequence[str]
    sources: store.Sources
    strangers: Counter[str]


def _portion(site: Site, peer: Peer, days: Sequence[str], meant: _Meant) -> tuple[int, list[Missing]]:
    """Return how many studies of some days are here too, and which never came."""
    with query.asking(peer, timeout_s=_ASK_S * len(days), retrieving=False) as archive:
        there = [each for day in days for each in archive.studies_of(day) if _may_be_meant(each, meant)]
        with site.database.read() as tx:
            known = store.here(tx, [each.study_instance_uid for each in there])
        absent = [each for each in there if each.study_instance_uid not in known]
        return len(known), [_missing(each) for each in absent if _is_ours(archive, each, meant)]


def _days(span: Span) -> list[str]:
    number = (span.last - span.first).days + 1
    if number < 1:
        raise NotFound(
            f"No day lies between {span.first} and {span.last}.", remedy="Name the earlier one with --since."
        )
    return [f"{span.first + timedelta(days=n):%Y%m%d}" for n in range(number)]


def _may_be_meant(found: query.ArchivedStudy, meant: _Meant) -> bool:
    """Tell whether a study may be densitometry; not every archive says which modalities it has."""
    return not found.modalities or not set(found.modalities).isdisjoint(meant.modalities)


def _is_ours(archive: query.Archive, found: query.ArchivedStudy, meant: _Meant) -> bool:
    """Tell whether a study has a series of one of our scanners, or of one that is not named there."""
    known = meant.sources.stations
    of_series = archive.series(found.study_instance_uid)
    stations = {each.station_name for each in of_series if each.modality in meant.modalities}
    if stations and (not known or "" in stations or stations & known):
        return True
    meant.strangers.update(stations)
    return False


def _missing(found: query.ArchivedStudy) -> Missing:
    return Missing(
        study_instance_uid=found.study_instance_uid,
        study_date=found.study_date,
        modalities=found.modalities,
        description=found.description,
    )


def _lacking(site: Site, peer: Peer, owed: Sequence[store.Owed]) -> Iterator[Lacking]:
    """Yield what the destination should have and does not show."""
    for one in owed:
        with site.database.read() as tx:
            barred = release.rejected(tx, one.study_id, one.analysis_id) or release.unsigned(
                tx, peer, one.analysis_id
            )
        if barred is not None or not {"sr", "pdf", "overlay"} & set(peer.send):
            continue
        shown = presence.present(peer, one.taken) if one.taken else frozenset()
        if one.taken and shown == {each.sop_instance_uid for each in one.taken}:
            continue
        yield Lacking(
            study_instance_uid=one.study_instance_uid,
            study_date=one.study_date,
            delivery=f"{one.state} {one.reason}".strip() or "none",
            why="sent, and not there" if one.taken else "not sent",
        )


def send(site: Site, found: Reconciliation) -> Reconciliation:
    """Queue again what the destination lacks; what may not be sent says why."""
    return replace(found, lacking=tuple(_sent(site, found.destination, each) for each in found.lacking))


def _sent(site: Site, destination: str, one: Lacking) -> Lacking:
    if one.delivery.partition(" ")[0] in ("queued", "running"):
        return replace(one, done="waits already")
    if one.delivery.startswith("held"):
        return one  # a person decides about it first
    try:
        operate.resend(site, one.study_instance_uid, destination)
    except (ReviewRefused, NotFound):
        return one
    return replace(one, done="queued")


def fetch(site: Site, found: Reconciliation) -> Reconciliation:
    """Let the destination move missing studies here; they are analyzed and reported as always.

    The node must be receiving, and the destination must know it as a target of retrievals.
    """
    peer = site.peer(found.destination)
    assert peer is not None
    return replace(found, missing=tuple(_fetched(site, peer, found, each) for each in found.missing))


def _fetched(site: Site, peer: Peer, found: Reconciliation, one: Missing) -> Missing:
    try:
        with query.asking(peer, timeout_s=_MOVE_S) as archive:
            for series in archive.series(one.study_instance_uid):
                if series.modality in (*found.modalities, "SR"):
                    archive.move(one.study_instance_uid, series.series_instance_uid)
    except PeerError as error:
        return replace(one, why=f"{error.message} {error.remedy}".strip())
    by = acting.administrator()
    with site.database.transaction() as tx:
        study = catalogue.study_by_uid(tx, one.study_instance_uid)
        if study is None:
            return replace(one, why=_nothing_arrived(peer))
        for row in catalogue.instances_of_study(tx, study.id, ["current"]):
            priors.adopt(tx, row.id)
        readiness.arm(tx, study.id, ready_at=tx.now)
        told = f"{by.login} on {by.host} fetched the study from {peer.name}: it had never come here"
        audit.add_event(tx, "study.reconciled", told, study_instance_uid=one.study_instance_uid)
    return replace(one, done="fetched")


def _nothing_arrived(peer: Peer) -> str:
    return (
        f"{peer.name} says that it sent the study, and nothing arrived: it may have another address or port "
        f"of {peer.calling_ae_title}."
    )
