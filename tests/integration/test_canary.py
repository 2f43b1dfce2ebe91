"""A patient whose every identifying value is a canary goes through the whole node, with debug logging.

Afterwards the canaries are looked for wherever a stranger may look: logs, what commands print when
they fail, /metrics and /health, the engine's tables (job arguments, outputs, errors) and every column
of ours but those that are there to know the patient.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tbsnode.dicom import acquisition
from tbsnode.pipeline import acting
from tests import nodes, peers, raw_peer
from tests.ledger import Ledger

# pydicom warns of what is wrong on purpose
pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ME = acting.login()
WHO = acquisition.PatientTags(
    patient_id="CANARYID-77341",
    name="Canarybird^Xenia=金糸雀^久仁亜=かなりあ^くにあ",
    birth_date="19310929",
    charset="ISO_IR 192",
)
ATTRIBUTES = (
    ("IssuerOfPatientID", "CANARYISSUER"),
    ("OtherPatientNames", "Canarymaiden^Yolanda"),
    ("OtherPatientIDs", "CANARYOTHER-88"),
    ("PatientBirthName", "Canaryborn^Zdenka"),
    ("PatientMotherBirthName", "Canarymother^Wilma"),
    ("PatientAddress", "7 Canarylane"),
    ("PatientTelephoneNumbers", "555-0177341"),
    ("PatientBirthTime", "031415"),
    ("PatientInsurancePlanCodeSequence", None),
    ("MilitaryRank", "CANARYRANK"),
    ("MedicalRecordLocator", "CANARYRECORD"),
    ("PatientComments", "Canarycomment"),
    ("AdditionalPatientHistory", "Canaryhistory"),
    ("Occupation", "Canarykeeper"),
    ("ReferringPhysicianName", "Canarydoctor^Quirin"),
    ("StudyID", "CANARYSTUDY"),
    ("ImageComments", "Canaryimage"),
)
ACCESSION = "CANARYACC-5"
SECRETS = (
    "canary", "xenia", "77341", "19310929", "1931-09-29", "29.09.1931", "金糸雀", "久仁亜",
    "かなりあ", "くにあ", "yolanda", "zdenka", "wilma", "quirin", "031415",
)  # fmt: skip
# Tables that are there to know the patient: identities, results, declarations, and who is who.
KNOWING = {
    "tbs_patient", "tbs_study", "tbs_series", "tbs_instance", "tbs_analysis", "tbs_clinical", "tbs_review",
    "tbs_identity_change",
}  # fmt: skip


@dataclass
class House:
    """The node, and all that its commands and pages said."""

    node: nodes.Node
    pacs: peers.Storescp
    work: Path
    said: list[str] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        """What it has written down."""
        return Ledger(self.node)

    def cli(self, *arguments: str | Path) -> None:
        """Run a command, whatever becomes of it; what it says when it fails must name nobody."""
        done = self.node.cli(*arguments, ok=False)
        self.said.append(done.stderr)
        if done.returncode != 0:
            self.said.append(done.stdout)

    def get(self, path: str) -> None:
        """Keep a page of the node's own HTTP server."""
        try:
            with urllib.request.urlopen(
                f"http://{peers.LOOPBACK}:{self.node.http_port}{path}", timeout=5
            ) as answer:
                self.said.append(answer.read().decode())
        except HTTPError as error:
            self.said.append(error.read().decode())


def canary(seed: int, kind: str = "display", **changes: object) -> Dataset:
    """Return one examination of the patient, with private text as well."""
    options = acquisition.Options(
        small=kind == "display", anatomy_seed=7, accession_number=ACCESSION, attributes=ATTRIBUTES
    )
    made = acquisition.study(kind, patient=WHO, seed=seed, study_date="20261101", options=options)
    ds = dcmread(BytesIO(made[0]))
    ds.private_block(0x0019, "SOMEBODY", create=True).add_new(0x40, "LT", "Canaryprivate 77341")
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def written(folder: Path, name: str, ds: Dataset) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.dcm"
    ds.save_as(path)
    return path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("house")
    with peers.storescp(work, "+xa") as pacs, peers.storescp(work, "--refuse") as refusing:
        destinations = [
            nodes.Destination("pacs", pacs.ae_title, pacs.port),
            nodes.Destination("refusing", refusing.ae_title, refusing.port),
            nodes.Destination("gone", "GONE", peers.free_port()),
        ]
        settings = '[priors]\ndestination = "pacs"\n[logging]\nlevel = "debug"\njson = true\n'
        node = nodes.Node(
            work / "node", peers.free_port(), destinations, http_port=peers.free_port(),
            settings=settings + nodes.reviewers(ME),
        )  # fmt: skip
        with nodes.serving(node):
            yield House(node, pacs, work)


def walk(house: House) -> None:
    """Let the patient meet everything that a node does, and what goes wrong in it."""
    sent = house.work / "sent"
    first = canary(1)
    uid = str(first.StudyInstanceUID)
    path = written(sent, "first", first)
    nodes.send(house.node.port, [path])
    house.ledger.settle_analysis(uid)
    peers.wait_until(lambda: _sent(house, uid), "the PACS to have it", 60)
    for words in (
        ("accept", uid, "--comment", "agreed"), ("accept", uid),
        ("correct", uid, "--exclude", "L3", "--comment", "L3 fractured"),
        ("reject", uid, "--reason", "quality", "--comment", "moved"), ("reprocess", uid),
    ):  # fmt: skip
        house.cli("study", *words)
    _wrong_instances(house, sent)
    _killed_worker(house, sent)
    _corrected(house, sent, first)
    _clinical(house)
    for words in (
        ("study", "trace", uid), ("study", "import", house.node.config), ("queue", "retry", "--all"),
        ("db", "verify"), ("check",), ("analyze", path),
    ):  # fmt: skip
        house.cli(*words)
    for page in ("/metrics", "/health", "/health/ready", "/nothing"):
        house.get(page)


def _sent(house: House, uid: str) -> bool:
    states = {row["destination"]: row["state"] for row in house.ledger.deliveries(uid)}
    return states.get("pacs") in ("sent", "superseded") and states.get("refusing") == "refused"


def _wrong_instances(house: House, sent: Path) -> None:
    """What must be refused: no UID, a bad UID, another class, a cut file, a stranger's call."""
    for name, ds in (
        ("bad-uid", canary(2, StudyInstanceUID="1.2.CANARY")),
        ("no-uid", canary(2, StudyInstanceUID="")),
        ("page", canary(3, "page")),
        ("many-dates", canary(4, StudyDate="19310929", PatientAge="CANARY", PatientSize="77341")),
        ("other-patient", canary(1, SOPInstanceUID="1.2.3.4.5", PatientID="CANARYID-OTHER")),
    ):
        path = written(sent, name, ds)
        argv = ["storescu", "-R", "-aet", nodes.CALLER, "-aec", nodes.AE_TITLE, peers.LOOPBACK]
        peers.run([*argv, str(house.node.port), path])
        if name in ("bad-uid", "other-patient"):
            house.cli("study", "import", path)
    cut = sent / "cut.dcm"
    cut.write_bytes(path.read_bytes()[:900])
    house.cli("study", "import", cut)
    house.cli("analyze", cut)
    with raw_peer.Caller(house.node.port) as line:
        assert line.associate(nodes.CALLER) == raw_peer.ASSOCIATE_AC
        patient = b"\x10\0\x20\0LO\x10\0CANARYID-77341  \x10\0\x10\0PN\xff\xffCanarybird^Xenia"
        line.send(raw_peer.data(raw_peer.store_command(), control=3), raw_peer.data(patient, control=2))
        line.status()


def _corrected(house: House, sent: Path, first: Dataset) -> None:
    """The same picture under another header, and another picture under the same UID."""
    first.PatientName = "Canarybird^Yolanda"
    nodes.send(house.node.port, [written(sent, "corrected", first)])
    first.PixelData = bytes(len(first.PixelData))
    nodes.send(house.node.port, [written(sent, "conflict", first)])
    house.ledger.settle_analysis(str(first.StudyInstanceUID), timeout_s=60)


def _killed_worker(house: House, sent: Path) -> None:
    nodes.send(house.node.port, [written(sent, "killed", canary(5))])
    for pid, name in house.node.children().items():
        if name.startswith(("analyze", "deliver")):
            os.kill(pid, signal.SIGKILL)
    house.ledger.settle_analysis(str(canary(5).StudyInstanceUID), timeout_s=60)


def _clinical(house: House) -> None:
    """Files with mistakes in every place that a name may stand."""
    head = "patient_id,issuer,accession_number,source,frax_major_percent"
    lines = {
        "wrong": f"{head}\nCANARYID-77341,CANARYISSUER,CANARYNONE,letter,Canarybird\n",
        "columns": f"{head},patient_name,Canarybird\nCANARYID-77341,,,letter,x,Canarybird^Xenia,1\n",
        "json": '[{"patient_id": "CANARYID-77341", "birth_date": "19310929", "source": "CANARY", "x": 5}',
    }
    for name, text in lines.items():
        path = house.work / f"{name}.csv"
        path.write_text(text)
        house.cli("clinical", "import", path)


def secrets_in(text: str) -> list[str]:
    lowered = text.lower()
    plain = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), lowered)
    return [secret for secret in SECRETS if secret in lowered or secret in plain]


def tables(database: Path) -> dict[str, str]:
    """Return all that a database holds, by table."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: "\n".join(
                " ".join(
                    value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                    for value in row
                )
                for row in connection.execute(f'SELECT * FROM "{name}"')
            )
            for name in names
        }


@pytest.mark.timeout(300)
def test_a_canary_is_found_nowhere(house: House) -> None:
    walk(house)
    held = tables(house.node.folder / "state" / "tbsnode.db")
    # It did go through, and the search does find: a search that finds nothing proves nothing.
    assert secrets_in(held["tbs_patient"])
    assert secrets_in(held["tbs_instance"])
    assert held["workflow_status"].count("study/") >= 3
    assert len(held["tbs_event"].splitlines()) > 30
    log = house.node.log.read_text()
    looked_at = {
        "log": log,
        "commands and pages": "\n".join(house.said),
        **{name: text for name, text in held.items() if name not in KNOWING},
    }
    assert {name: hits for name, text in looked_at.items() if (hits := secrets_in(text))} == {}, [
        line for line in "\n".join(house.said).splitlines() if secrets_in(line)
    ]
    errors = house.ledger.rows("SELECT last_error FROM tbs_study")
    assert secrets_in(str(errors)) == []
