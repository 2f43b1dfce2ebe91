"""Before results leave for the first time: what the last studies came to, and a test patient's documents.

In shadow mode everything runs and nothing leaves. An administrator who is about to set the mode to live
sees here whether patients and orders are found, why studies were refused, and whether each destination
really takes a report and a PDF: those of a patient who is plainly a test, sent once.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tbsnode.dicom import acquisition, part10, sop_classes
from tbsnode.errors import PeerError
from tbsnode.model import AnalysisStatus, DerivedKind, Outgoing, Provenance
from tbsnode.net import scu
from tbsnode.pipeline import acting, notify, webhook
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.making import SIMULATED_STATION, Material, checked, make, make_report
from tbsnode.reasons import Code
from tbsnode.store import audit, catalogue, deliveries, listing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tbsnode.model import DerivedInstance, Peer, SendOutcome
    from tbsnode.pipeline.site import Site

LAST = 20
TEST_PATIENT: Final = acquisition.PatientTags(patient_id="TBSNODE-TEST", name="Test^Tbsnode")
_STORED = ("success", "warning")
_NOT_FROM_A_SCANNER = (Code.OWN_RESULT.value, Code.FETCHED_PRIOR.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """One of the last studies: what it came to, and what its headers say; no value of a patient.

    Attributes
    ----------
    study_instance_uid, study_date, scanner : str
        Which study.
    result : str
        ``"scored"``, ``"refused CODE"``, ``"not_applicable CODE"``, or the state of the study.
    patient_id, accession_number, order_code : bool
        Whether the header has it; for the order, whether one of the site's codes was found.
    """

    study_instance_uid: str
    study_date: str
    scanner: str
    result: str
    patient_id: bool
    accession_number: bool
    order_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a destination answered for one document of the test patient."""

    destination: str
    kind: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the webhook answered."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoLive:
    """Everything that decides whether results may leave.

    Attributes
    ----------
    studies : tuple of Recent
        The last ones, the newest first.
    sent : tuple of Sent
        The test patient's documents.
    webhook : Told or None
        What the webhook answered to a message marked as a test; None where none is configured.
    obstacles : tuple of str
        Why the node should not go live yet; empty where nothing speaks against it.
    remarks : tuple of str
        What an administrator should know and decide.
    """

    studies: tuple[Recent, ...]
    sent: tuple[Sent, ...]
    webhook: Told | None
    obstacles: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many of the studies came to each result."""
        results = sorted({each.result for each in self.studies})
        return {result: sum(each.result == result for each in self.studies) for result in results}


def look(site: Site) -> GoLive:
    """Look at the last studies, send the test patient's documents to every destination, try the webhook."""
    studies = recent(site)
    sent = send_test(site)
    told = try_webhook(site)
    return GoLive(
        studies=studies,
        sent=sent,
        webhook=told,
        obstacles=tuple([*_obstacles(site, studies, sent), *_unheard(told)]),
        remarks=tuple(_remarks(site, studies)),
    )


def recent(site: Site) -> tuple[Recent, ...]:
    """Return the last studies that scanners sent."""
    with site.database.read() as tx:
        listed = listing.list_studies(tx, listing.StudyFilter(limit=5 * LAST))
        listed = tuple(one for one in listed if one.study.reason not in _NOT_FROM_A_SCANNER)[:LAST]
        headers = [catalogue.instances_of_study(tx, one.study.id, ["current"]) for one in listed]
    return tuple(
        Recent(
            study_instance_uid=one.study.study_instance_uid,
            study_date=one.study.study_date,
            scanner=one.study.scanner,
            result=_result(one),
            patient_id=bool(one.patient.patient_id),
            accession_number=bool(one.study.accession_number),
            order_code=any(
                site.policy.is_ordered((*row.identity.order_codes, row.identity.study_description))
                for row in rows
            ),
        )
        for one, rows in zip(listed, headers, strict=True)
    )


def _result(one: listing.ListedStudy) -> str:
    if one.result is not None and one.result.status is not AnalysisStatus.NOT_APPLICABLE:
        return f"{one.result.status.value} {one.result.reason}".strip()
    return f"{one.study.state.value} {one.study.reason}".strip()


# ---- the test patient ----------------------------------------------------------------------------


def send_test(site: Site) -> tuple[Sent, ...]:
    """Send report and PDF of the test patient to every destination, in whatever mode the node is.

    The same documents all day: a destination that is tested twice has them once.
    """
    with site.database.transaction() as tx:
        by, at = acting.administrator(), datetime.fromtimestamp(tx.now, UTC)
        names = ", ".join(peer.name for peer in site.peers) or "nobody"
        told = f"{by.login} on {by.host} sends documents of the test patient to {names}"
        audit.add_event(tx, "go_live.test", told)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    with ExitStack() as temporary:
        material = _material(site, day, temporary)
        return tuple(
            sent
            for peer in site.peers
            for kind in (DerivedKind.SR, DerivedKind.PDF)
            if kind.value in peer.send
            for sent in [_try(site, peer, kind, material, temporary)]
        )


def _material(site: Site, day: datetime, temporary: ExitStack) -> Material:
    """Play a scan of the test patient, and measure it: marked as simulated wherever it is shown."""
    options = acquisition.Options(small=True, attributes=(("StationName", SIMULATED_STATION),))
    (image,) = acquisition.study(
        "display", patient=TEST_PATIENT, seed=1, study_date=f"{day:%Y%m%d}", options=options
    )
    source = _written(site, "scan", image, temporary)
    (result,) = analyze_file(source, AnalysisSettings(made_at=day))
    provenance = Provenance(
        version=site.policy.version,
        device_uid=site.policy.device_uid,
        station=site.policy.ae_title,
        serial_number=site.policy.serial_number,
        content_at=day,
        institution=site.policy.institution,
    )
    report = make_report(result.analysis, provenance=provenance)
    return Material(report=report, image=result.image, source=source, page_size=site.policy.page_size)


def _written(site: Site, name: str, content: bytes, temporary: ExitStack) -> Path:
    path = site.archive.incoming / f"go-live-{name}.dcm"
    temporary.callback(path.unlink, missing_ok=True)
    path.write_bytes(content)
    return path


def _try(site: Site, peer: Peer, kind: DerivedKind, material: Material, temporary: ExitStack) -> Sent:
    """Send one document, its SR in the first class that the destination takes."""
    outcome = None
    for sr_class in peer.sr_class if kind is DerivedKind.SR else ("",):
        made = checked(make(material, kind, sr_class=sr_class or "3d"))
        try:
            outcome = _store(site, peer, made, temporary)
        except PeerError as error:
            return Sent(destination=peer.name, kind=kind.value, ok=False, text=str(error))
        if outcome.category != "not_accepted":
            name = sop_classes.name(made.sop_class_uid)
            ok = outcome.category in _STORED
            return Sent(destination=peer.name, kind=kind.value, ok=ok, text=f"{name}: {outcome.text}")
    assert outcome is not None, "a destination has an order of classes"
    return Sent(destination=peer.name, kind=kind.value, ok=False, text=outcome.text)


def _store(site: Site, peer: Peer, made: DerivedInstance, temporary: ExitStack) -> SendOutcome:
    path = _written(site, made.sop_instance_uid, made.part10, temporary)
    outgoing = Outgoing(
        path=path,
        sop_class_uid=made.sop_class_uid,
        sop_instance_uid=made.sop_instance_uid,
        transfer_syntax_uid=sop_classes.EXPLICIT_VR_LITTLE_ENDIAN,
    )
    (outcome,) = scu.send(peer, [outgoing])
    if outcome.text != scu.IMPLICIT_ONLY:
        return outcome
    plain = path.with_suffix(".implicit")
    temporary.callback(plain.unlink, missing_ok=True)
    part10.reencode(path, plain)
    again = replace(outgoing, path=plain, transfer_syntax_uid=sop_classes.IMPLICIT_VR_LITTLE_ENDIAN)
    return scu.send(peer, [again])[0]


# ---- who is told ---------------------------------------------------------------------------------


def try_webhook(site: Site) -> Told | None:
    """Post a message that is marked as a test to the webhook, if there is one."""
    settings = site.policy.notify
    if settings is None:
        return None
    try:
        status = notify.send_test(site, settings)
    except (webhook.NotTaken, webhook.NotThere) as error:
        return Told(ok=False, text=str(error))
    return Told(ok=True, text=f"it took a message marked as a test ({status})")


def _unheard(told: Told | None) -> list[str]:
    if told is None or told.ok:
        return []
    mend = "Correct [notify] webhook or token_file, or ask who runs it."
    return [f"The webhook did not take a message: {told.text}. {mend}"]


# ---- the verdict ---------------------------------------------------------------------------------


def _obstacles(site: Site, studies: Sequence[Recent], sent: Sequence[Sent]) -> list[str]:
    found = [
        f"{one.destination} did not take the {one.kind.upper()}: {one.text}" for one in sent if not one.ok
    ]
    if not site.peers:
        found.append("There is no destination: enter your PACS in [[destinations]].")
    if not studies:
        found.append("No scanner has sent anything yet: send some studies while the node is in shadow mode.")
    elif not any(each.result == "scored" for each in studies):
        found.append("None of the last studies was scored: `tbsnode study trace UID` says why.")
    nameless = sum(not each.patient_id for each in studies)
    if nameless:
        found.append(f"{nameless} of the last {len(studies)} studies have no patient ID.")
    if studies and site.policy.when == "ordered" and not any(each.order_code for each in studies):
        codes = ", ".join(site.policy.order_codes)
        found.append(
            f'[selection] when = "ordered", and no study carried one of {codes}: nothing would be sent.'
        )
    return found


def _remarks(site: Site, studies: Sequence[Recent]) -> list[str]:
    found = []
    with site.database.read() as tx:
        waiting = deliveries.held_for(tx, Code.SHADOW_MODE.value)
    if waiting:
        found.append(
            f"{waiting} {'result waits' if waiting == 1 else 'results wait'} because of shadow mode, also "
            "when the node is live: then `tbsnode queue retry --all` sends what waits."
        )
    without = sum(not each.accession_number for each in studies)
    if without:
        found.append(
            f"{without} of the last {len(studies)} studies have no accession number: the PACS may not find "
            "their order. A worklist at the scanner fills it in."
        )
    undated = sum(not each.study_date for each in studies)
    if undated:
        found.append(f"{undated} of the last {len(studies)} studies have no study date.")
    refused = sum(each.result.startswith("refused") for each in studies)
    if refused and site.policy.report_refusals:
        found.append(
            f"{refused} of the last {len(studies)} were refused; in live mode each gets a report of it."
        )
    if any(one.release == "signed" for one in site.peers):
        names = ", ".join(one.name for one in site.peers if one.release == "signed")
        found.append(f"{names} gets signed results only; the test documents were not signed.")
    return found
