"""Senders for benchmarks: they speak just enough DICOM to store, so that the time is the receiver's.

The data set is encoded before the clock starts; three UIDs of each instance are written into it then.
A sender is a process of its own, and respects the maximum PDU size that the receiver asked for.
"""

from __future__ import annotations

import io
import multiprocessing
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tbsnode.net import receipt
from tests import peers, raw_peer
from tests.raw_peer import ASSOCIATE_AC, RELEASE_RP, RELEASE_RQ

DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
ROWS, COLUMNS = 300, 280  # a spine of 168 KB, as a densitometer exports it

_ROOT = "1.2.826.0.1.3680043.10.1234.{kind}.{number:012d}"
_FIRST = 10**11  # all numbers have as many digits
_OUR_PDU = 16384


@dataclass(frozen=True)
class Target:
    """Who is sent to.

    Attributes
    ----------
    port : int
        On loopback.
    calling, called : str
        AE titles.
    """

    port: int
    calling: str
    called: str


@dataclass(frozen=True)
class Took:
    """What sending took: the whole, and each association [s]."""

    wall_s: float
    associations_s: tuple[float, ...]
    images: int

    @property
    def images_per_s(self) -> float:
        """Images a second."""
        return self.images / self.wall_s

    def percentile_ms(self, percent: float) -> float:
        """Duration that this part of the associations did not exceed [ms]."""
        return float(1e3 * np.percentile(self.associations_s, percent))


def _uid(kind: int, number: int) -> str:
    return _ROOT.format(kind=kind, number=_FIRST + number)


def _described() -> Dataset:
    """Return the data set of one image of a spine, number 0, without its pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SOPClassUID, ds.SOPInstanceUID = DX_FOR_PRESENTATION, _uid(1, 0)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(2, 0), _uid(3, 0)
    ds.StudyDate, ds.StudyTime, ds.Modality, ds.BodyPartExamined = "20250301", "101500", "DX", "LSPINE"
    ds.PatientName, ds.PatientID = "Bench^Ingest", "BENCH-1"
    ds.PatientBirthDate, ds.PatientSex = "19500101", "F"
    ds.AccessionNumber, ds.Manufacturer = "A1", "Bench"
    ds.Rows, ds.Columns, ds.PixelSpacing = ROWS, COLUMNS, ["0.6", "0.6"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    return ds


def _image() -> bytes:
    ds = _described()
    ds.PixelData = np.random.default_rng(1).integers(0, 4096, ROWS * COLUMNS, dtype=np.uint16).tobytes()
    encoded = io.BytesIO()
    ds.save_as(encoded, implicit_vr=False, little_endian=True)
    return encoded.getvalue()


class Image:
    """One image, restated for each number; `encoded` is its data set now."""

    def __init__(self) -> None:
        self.encoded = bytearray(_image())
        self._at = {kind: self.encoded.index(_uid(kind, 0).encode()) for kind in (1, 2, 3)}

    def messages(self, number: int, study: int, largest: int) -> bytes:
        """Return a whole C-STORE of image `number` in `study` as P-DATA of at most `largest` bytes."""
        for kind, value in ((1, number), (2, study), (3, study)):
            uid = _uid(kind, value).encode()
            self.encoded[self._at[kind] : self._at[kind] + len(uid)] = uid
        command = raw_peer.store_command(_uid(1, number), DX_FOR_PRESENTATION)
        return b"".join([raw_peer.data(command, control=3), *self._fragments(largest - 6)])

    def _fragments(self, size: int) -> Iterator[bytes]:
        view = memoryview(self.encoded)
        for start in range(0, len(view), size):
            last = start + size >= len(view)
            yield raw_peer.data(bytes(view[start : start + size]), control=2 if last else 0)


def largest_pdu(accept: bytes) -> int:
    """Return the maximum PDU length of an A-ASSOCIATE-AC's body (PS3.8 D.1); ours where unlimited."""
    position = 68
    while position < len(accept):
        kind, length = struct.unpack_from(">BxH", accept, position)
        if kind == 0x50:
            sub, _, value = struct.unpack_from(">BxHL", accept, position + 4)
            return int(value) if sub == 0x51 and value else _OUR_PDU
        position += 4 + length
    return _OUR_PDU


def associate(target: Target, image: Image, numbers: range, study: int) -> float:
    """Store images in one association; return how long it took from dialing to the release's answer [s]."""
    request = raw_peer.associate_request(
        target.calling, target.called, ((DX_FOR_PRESENTATION, (ExplicitVRLittleEndian,)),)
    )
    started = time.perf_counter()
    with raw_peer.Caller(target.port, timeout_s=60.0) as line:
        line.socket.setsockopt(6, 1, 1)  # TCP_NODELAY
        line.send(request)
        kind, accept = line.receive()
        if kind != ASSOCIATE_AC:
            raise RuntimeError(f"{target.called} answered the association with PDU {kind}")
        largest = largest_pdu(accept)
        for number in numbers:
            line.send(image.messages(number, study, largest))
            if (status := line.status()) != 0:
                raise RuntimeError(f"{target.called} answered an image with {status}")
        line.send(raw_peer.pdu(RELEASE_RQ, bytes(4)))
        if line.receive()[0] != RELEASE_RP:
            raise RuntimeError(f"{target.called} did not release")
    return time.perf_counter() - started


def _client(target: Target, first: int, associations: int, images: int, start: Barrier, told: Any) -> None:
    image = Image()
    start.wait()
    took = []
    for turn in range(associations):
        begin = first + turn * images
        took.append(associate(target, image, range(begin, begin + images), begin))
    told.put(took)


def send(target: Target, *, clients: int, associations: int, images: int, first: int) -> Took:
    """Let several clients send at once.

    Parameters
    ----------
    target : Target
        Who is sent to.
    clients : int
        Processes that send at the same time.
    associations : int
        One after another, for each client.
    images : int
        In each association.
    first : int
        Number of the first image; those of one run must be new.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(clients + 1)
    told: Any = context.Queue()
    each = associations * images
    processes = [
        context.Process(target=_client, args=(target, first + n * each, associations, images, start, told))
        for n in range(clients)
    ]
    for process in processes:
        process.start()
    start.wait()
    begun = time.perf_counter()
    took = [told.get(timeout=600.0) for _ in processes]
    wall_s = time.perf_counter() - begun
    for process in processes:
        process.join()
    return Took(wall_s, tuple(value for one in took for value in one), clients * each)


def file_of(folder: Path, place: int, number: int) -> Path:
    """Write image `number`, in a study of its own, as the Part 10 file that has this place.

    It is written over the one that had its place before: ext4 looks at each file deleted in the last
    minutes whenever one is made near it, and then a benchmark times its own deletions.
    """
    image = Image()
    image.messages(number, number, _OUR_PDU)
    meta = receipt.file_meta(DX_FOR_PRESENTATION, _uid(1, number), ExplicitVRLittleEndian)
    path = folder / f"{place}.dcm"
    path.write_bytes(bytes(128) + b"DICM" + meta + image.encoded)
    return path


def large_instance(path: Path, size: int) -> Path:
    """Write an instance of about `size` bytes, most of them pixels of many frames."""
    frames = max(1, size // (ROWS * COLUMNS * 2))
    ds = _described()
    ds.NumberOfFrames = frames
    encoded = io.BytesIO()
    ds.save_as(encoded, implicit_vr=False, little_endian=True)
    meta = receipt.file_meta(DX_FOR_PRESENTATION, str(ds.SOPInstanceUID), ExplicitVRLittleEndian)
    frame = bytes(ROWS * COLUMNS * 2)
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM" + meta + encoded.getvalue())
        file.write(struct.pack("<HH2sxxL", 0x7FE0, 0x0010, b"OW", frames * len(frame)))
        for _ in range(frames):
            file.write(frame)
    return path


class Sender:
    """storescu in the background, sending one file; `status` is how it ended."""

    def __init__(self, target: Target, path: Path) -> None:
        argv = ["storescu", "-R", "-xe", "-aet", target.calling, "-aec", target.called]
        self._process = subprocess.Popen(
            [*argv, peers.LOOPBACK, str(target.port), path], env=peers.ENVIRONMENT
        )
        self.status = -1

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        peers.stop(self._process)

    def is_sending(self) -> bool:
        """Tell whether it has not ended."""
        code = self._process.poll()
        self.status = -1 if code is None else code
        return code is None
