"""Command sets by hand: what is written is what pydicom and pynetdicom read, and the reverse."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pydicom
import pytest
from pydicom.filereader import read_dataset, read_file_meta_info

from tbsnode.dicom import uids
from tbsnode.errors import InvalidInstance, ResourceError, StorageFull, UnsupportedInstance
from tbsnode.net import receipt, upper_layer
from tests import raw_peer

CLASS = raw_peer.SECONDARY_CAPTURE


def begin(folder: Path, **changes: object) -> receipt.Receipt:
    command = receipt.parse_command(raw_peer.store_command(**changes))  # type: ignore[arg-type]
    return receipt.Receipt(command, CLASS, raw_peer.EXPLICIT, folder)


def test_a_request_becomes_a_part_10_file(tmp_path: Path) -> None:
    growing = begin(tmp_path)
    growing.write(memoryview(b"\x10\x00\x20\x00LO\x02\x00"))
    growing.write(memoryview(b"X "))
    store = growing.complete()
    assert store.error is None
    assert store.path is not None
    assert store.message_id == 7
    ds = pydicom.dcmread(store.path)
    assert ds.PatientID == "X"
    assert ds.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert ds.file_meta.MediaStorageSOPClassUID == CLASS
    assert ds.file_meta.TransferSyntaxUID == raw_peer.EXPLICIT
    assert ds.file_meta.ImplementationClassUID == uids.IMPLEMENTATION_CLASS_UID


def test_what_is_said_of_the_file_is_what_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt, "_BEGINNING_BYTES", 500)
    growing = begin(tmp_path)
    for piece in (b"a" * 100, b"b" * 400, b"c" * 300):
        growing.write(memoryview(piece))
    store = growing.complete()
    assert store.path is not None
    whole = store.path.read_bytes()
    assert store.beginning == whole[:500]
    assert store.size_bytes == len(whole)
    assert "beginning" not in repr(store), "it names the patient"


def test_file_meta_is_what_pydicom_reads(tmp_path: Path) -> None:
    path = tmp_path / "meta"
    path.write_bytes(bytes(128) + b"DICM" + receipt.file_meta(CLASS, "1.2.345", raw_peer.IMPLICIT))
    meta = read_file_meta_info(path)
    assert meta.FileMetaInformationGroupLength == path.stat().st_size - 128 - 4 - 12
    assert meta.FileMetaInformationVersion == b"\x00\x01"
    assert meta.MediaStorageSOPInstanceUID == "1.2.345"
    assert meta.ImplementationVersionName == upper_layer.IMPLEMENTATION_VERSION_NAME


def test_a_response_is_what_pydicom_reads() -> None:
    encoded = receipt.encode_response(receipt.C_STORE_RQ, 9, (CLASS, "1.2.345"), (0xA700, "odd"))
    ds = read_dataset(io.BytesIO(encoded), is_implicit_VR=True, is_little_endian=True)
    assert ds.CommandGroupLength == len(encoded) - 12
    assert (ds.CommandField, ds.MessageIDBeingRespondedTo, ds.CommandDataSetType) == (0x8001, 9, 0x0101)
    assert (ds.Status, ds.ErrorComment) == (0xA700, "odd")
    assert (ds.AffectedSOPClassUID, ds.AffectedSOPInstanceUID) == (CLASS, "1.2.345")


def test_a_response_without_uids_has_none() -> None:
    encoded = receipt.encode_response(receipt.C_STORE_RQ, 9, ("", ""), (0x0117, ""))
    ds = read_dataset(io.BytesIO(encoded), is_implicit_VR=True, is_little_endian=True)
    assert "AffectedSOPInstanceUID" not in ds
    assert "ErrorComment" not in ds


@pytest.mark.parametrize(
    "uid", [None, "", "../../etc/passwd", "1.2.3/4", "1..2", ".1", "1.", "1.2." + "3" * 64, "1.2\\3", "1.2.x"]
)
def test_an_unsafe_instance_uid_is_refused_without_a_file(tmp_path: Path, uid: str | None) -> None:
    store = begin(tmp_path, sop_instance_uid=uid).complete()
    assert isinstance(store.error, InvalidInstance)
    assert store.error.keyword == "AffectedSOPInstanceUID"
    assert store.sop_instance_uid == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uid", [None, raw_peer.VERIFICATION])
def test_another_class_than_the_context_is_refused(tmp_path: Path, uid: str | None) -> None:
    store = begin(tmp_path, sop_class_uid=uid).complete()
    assert isinstance(store.error, UnsupportedInstance)


def test_a_request_without_data_set_is_refused(tmp_path: Path) -> None:
    store = begin(tmp_path, x0800=b"\x01\x01").complete()
    assert isinstance(store.error, InvalidInstance)


def test_a_request_that_cannot_be_answered_is_a_violation(tmp_path: Path) -> None:
    with pytest.raises(receipt.ProtocolViolation, match="Message ID"):
        begin(tmp_path, x0110=None)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0" * 7,
        struct.pack("<HHL", 8, 0x18, 0),
        struct.pack("<HHL", 0, 0x0100, 999) + b"\1\0",
        struct.pack("<HHLH", 0, 0x0100, 2, 1),
        struct.pack("<HHLLHHLH", 0, 0x0100, 4, 1, 0, 0x0800, 2, 1),
    ],
)
def test_what_is_no_command_set(encoded: bytes) -> None:
    with pytest.raises(receipt.ProtocolViolation):
        receipt.parse_command(encoded)


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    growing = begin(tmp_path)
    growing.write(memoryview(b"abc"))
    assert len(list(tmp_path.iterdir())) == 1
    growing.discard()
    growing.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    growing = begin(tmp_path / "absent")
    growing.write(memoryview(b"abc"))
    store = growing.complete()
    assert isinstance(store.error, ResourceError)
    assert store.path is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_noticed_and_the_rest_read_past(tmp_path: Path) -> None:
    growing = begin(tmp_path)
    assert growing._file is not None
    growing._file.close()
    growing._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    growing.write(memoryview(b"abc"))
    growing.write(memoryview(b"def"))
    store = growing.complete()
    assert isinstance(store.error, StorageFull)
    assert list(tmp_path.iterdir()) == []
