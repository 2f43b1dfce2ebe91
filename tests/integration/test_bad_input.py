"""What nobody should send: each gets its answer, the node stays up, and no patient reaches a log."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tbsnode.dicom import acquisition
from tests import nodes, peers, raw_peer
from tests.ledger import Ledger

CANARY = acquisition.PatientTags(
    patient_id="CANARY-77341", name="Canarybird^Xenia", birth_date="19310929", charset="ISO_IR 100"
)
SECRETS = ("canary", "xenia", "77341", "19310929", "1931-09-29")
SMALL = acquisition.Options(small=True, anatomy_seed=7)

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@dataclass
class House:
    """A node and the archive that it sends to; `said` is all that its commands printed."""

    node: nodes.Node
    ledger: Ledger
    pacs: peers.Storescp
    said: list[str]

    def cli(self, *arguments: str | Path) -> str:
        """Run a command that may fail."""
        done = self.node.cli(*arguments, ok=False)
        self.said.append(done.stdout + done.stderr)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    work = tmp_path_factory.mktemp("bad-input")
    with peers.storescp(work) as pacs:
        destination = nodes.Destination("pacs", pacs.ae_title, pacs.port)
        node = nodes.Node(work / "node", peers.free_port(), [destination])
        with nodes.serving(node):
            yield House(node, Ledger(node), pacs, [])
            assert node.stop() == 0


@pytest.fixture(autouse=True)
def stays_up(house: House) -> Iterator[None]:
    """After each test the node answers, has left no file behind and has shown no traceback."""
    children = house.node.children()
    yield
    assert house.node.children() == children, "a process has died"
    assert echo(house.node.port).returncode == 0
    peers.wait_until(lambda: house.node.incoming() == [], "an empty incoming folder")
    assert "Traceback" not in house.node.log.read_text()


def echo(port: int, calling: str = nodes.CALLER, called: str = nodes.AE_TITLE):  # type: ignore[no-untyped-def]
    return peers.run(["echoscu", "-v", "-aet", calling, "-aec", called, peers.LOOPBACK, str(port)])


# ---- who calls ----------------------------------------------------------------------------------


def test_an_unknown_caller_is_rejected_and_told_apart(house: House) -> None:
    said = echo(house.node.port, calling="STRANGER")
    assert said.returncode != 0
    assert "Calling AE Title Not Recognized" in said.stdout
    told = [
        row["text"] for row in house.ledger.rows("SELECT text FROM tbs_event WHERE action LIKE '%rejected'")
    ]
    assert any("STRANGER" in text for text in told), told


def test_a_wrong_called_ae_title_is_rejected(house: House) -> None:
    said = echo(house.node.port, called="TBSNOD")
    assert said.returncode != 0
    assert "Called AE Title Not Recognized" in said.stdout
    assert '"TBSNOD"' in house.node.log.read_text()


# ---- data sets that lie or lack -----------------------------------------------------------------


def minimal(**changes: str | None) -> bytes:
    """Return a Secondary Capture with a picture of one pixel, encoded; None leaves an element out."""
    ds = Dataset()
    ds.SOPClassUID = raw_peer.SECONDARY_CAPTURE
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", "1.2.3.1", "1.2.3.2"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate = CANARY.patient_id, CANARY.name, CANARY.birth_date
    ds.Modality = "OT"
    ds.SamplesPerPixel = ds.Rows = ds.Columns = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = b"\1\0"
    ds["PixelData"].VR = "OB"
    with warnings.catch_warnings(action="ignore"):
        for keyword, value in changes.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, ds)
    return buffer.getvalue()


def command(**changes: str | None) -> bytes:
    """Return the command that announces it."""
    return raw_peer.store_command(**changes)  # type: ignore[arg-type]


ESCAPE = "../../../../outside/x"


@pytest.mark.parametrize(
    ("announced", "data_set", "status"),
    [
        pytest.param({}, {"SOPInstanceUID": None}, 0x0117, id="data set without SOP Instance UID"),
        pytest.param({}, {"SOPInstanceUID": ""}, 0x0117, id="with an empty one"),
        pytest.param({"sop_instance_uid": None}, {}, 0x0117, id="command without one"),
        pytest.param({}, {"StudyInstanceUID": None}, 0xC000, id="without Study Instance UID"),
        pytest.param({}, {"SeriesInstanceUID": None}, 0xC000, id="without Series Instance UID"),
        pytest.param(
            {"sop_instance_uid": ESCAPE}, {"SOPInstanceUID": ESCAPE}, 0x0117, id="a UID that is a path"
        ),
        pytest.param({}, {"SOPInstanceUID": ESCAPE}, 0x0117, id="the same in the data set alone"),
        pytest.param({}, {"StudyInstanceUID": ESCAPE}, 0xC000, id="a study that is a path"),
        pytest.param({}, {"SeriesInstanceUID": ESCAPE}, 0xC000, id="a series that is a path"),
        pytest.param({}, {"SOPInstanceUID": "1.2.3.5"}, 0xA900, id="another instance than announced"),
    ],
)
def test_a_data_set_that_cannot_be_identified(
    house: House, announced: dict[str, str | None], data_set: dict[str, str | None], status: int
) -> None:
    assert answer(house, command(**announced), minimal(**data_set)) == status
    assert house.ledger.rows("SELECT id FROM tbs_instance WHERE sop_instance_uid LIKE '1.2.3.%'") == []


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(minimal()[:-2], id="cut in the picture"),
        pytest.param(minimal()[:60], id="cut in the header"),
        pytest.param(b"Canarybird, this is a text and no data set. " * 20, id="text"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_bytes_that_are_no_data_set(house: House, encoded: bytes) -> None:
    assert answer(house, command(), encoded) in (0xC000, 0x0117)
    assert house.ledger.rows("SELECT id FROM tbs_instance WHERE sop_instance_uid LIKE '1.2.3.%'") == []


def answer(house: House, announced: bytes, encoded: bytes) -> int | None:
    """Send one C-STORE byte by byte and return its status."""
    with raw_peer.Caller(house.node.port) as caller:
        assert caller.associate(nodes.CALLER) == raw_peer.ASSOCIATE_AC
        caller.send(raw_peer.data(announced, control=3), raw_peer.data(encoded, control=2))
        return caller.status()


def test_files_that_are_no_dicom_are_not_imported(house: House, tmp_path: Path) -> None:
    (whole,) = acquisition.study("display", patient=CANARY, seed=1, options=SMALL)
    text, cut, empty = tmp_path / "text.dcm", tmp_path / "cut.dcm", tmp_path / "empty.dcm"
    text.write_text("Canarybird")
    cut.write_bytes(whole[: len(whole) // 2])
    empty.write_bytes(b"")
    said = house.cli("study", "import", text, cut, empty)
    assert "3 refused" in said
    uid = str(dcmread(BytesIO(whole), stop_before_pixels=True).StudyInstanceUID)
    assert house.ledger.rows("SELECT id FROM tbs_study WHERE study_instance_uid = ?", uid) == []


# ---- other people's files -----------------------------------------------------------------------

# Each of a study of its own, or of the study of the one above it with which it lives in peace.
TAKEN = (
    "JPEG-lossy.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_jpeg_dcmd.dcm",
    "image_dfl.dcm",
    "reportsi.dcm",
    "test-SR.dcm",
)
NOT_TAKEN = (
    "CT_small.dcm",
    "MR_small.dcm",
    "rtplan.dcm",
    "rtdose.dcm",
    "waveform_ecg.dcm",
    "liver_1frame.dcm",
)


def test_sixteen_kinds_of_files() -> None:
    assert len({*TAKEN, *NOT_TAKEN}) == 16


@pytest.mark.parametrize("name", TAKEN)
def test_other_kinds_of_instances_are_kept_and_trigger_nothing(
    house: House, name: str, tmp_path: Path
) -> None:
    path = get_testdata_file(name, download=False)
    assert statuses(house, Path(str(path)), tmp_path) == ["0x0000 (Success)"]
    with warnings.catch_warnings(action="ignore"):
        uid = str(dcmread(str(path), stop_before_pixels=True).StudyInstanceUID)
    study = house.ledger.settle(uid)
    assert (study["state"], study["generation"] > 0) == ("not_applicable", True)
    assert house.ledger.made(uid) == []
    assert not [action for action in house.ledger.actions(uid) if "mishap" in action]


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_other_kinds_of_objects_are_not_accepted(house: House, name: str, tmp_path: Path) -> None:
    path = get_testdata_file(name, download=False)
    before = len(house.ledger.rows("SELECT id FROM tbs_instance"))
    assert statuses(house, Path(str(path)), tmp_path) == ["<no acceptable presentation context>"]
    assert len(house.ledger.rows("SELECT id FROM tbs_instance")) == before


def statuses(house: House, path: Path, work: Path) -> list[str]:
    """Send a file as it is with dcmsend and return the DIMSE statuses in its report."""
    report = work / "report.txt"
    argv = ["dcmsend", "-v", "-dn", "-nh", "-aet", nodes.CALLER, "-aec", nodes.AE_TITLE, "+crf", report]
    done = peers.run([*argv, peers.LOOPBACK, str(house.node.port), path])
    assert report.exists(), done.stdout
    lines = [line for line in report.read_text().splitlines() if line.startswith("DIMSE Status")]
    return [line.partition(": ")[2] for line in lines]


# ---- and nobody's name --------------------------------------------------------------------------


def test_no_patient_is_in_a_log_an_event_or_an_error(house: House, tmp_path: Path) -> None:
    """The last of this file: it looks at what all the others left, and adds what is still missing."""
    for kind in ("display", "page"):
        options = SMALL if kind == "display" else acquisition.Options(anatomy_seed=7)
        paths = nodes.write(tmp_path, acquisition.study(kind, patient=CANARY, seed=3, options=options), kind)
        nodes.send(house.node.port, paths)
        uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
        assert house.ledger.settle(uid)["state"] == "done"
        house.cli("study", "trace", uid)
        assert sum(dcmread(path).StudyInstanceUID == uid for path in house.pacs.files()) == 2
    house.cli("queue", "list")
    events = house.ledger.rows("SELECT * FROM tbs_event")
    errors = [
        house.ledger.rows(f"SELECT last_error FROM {table} WHERE last_error <> ''")
        for table in ("tbs_study", "tbs_delivery")
    ]
    answers = house.ledger.rows("SELECT text FROM tbs_delivery_item")
    written = "\n".join([house.node.log.read_text(), str(events), str(errors), str(answers), *house.said])
    assert len(events) > 20
    assert [secret for secret in SECRETS if secret in written.lower()] == []
