"""Laws of the DICOM border: no bytes crash it, and what is written is read back by a stranger."""

from __future__ import annotations

import tempfile
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tbsnode.dicom import content, image, measurement_report, part10, uids
from tbsnode.errors import InstanceError
from tests import reported, sources

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
WHOLE = {syntax: sources.encoded(sources.spine(), syntax) for syntax in SYNTAXES}
UIDS = st.lists(st.integers(0, 10**9), min_size=2, max_size=6).map(lambda parts: ".".join(map(str, parts)))


def reasons(data: bytes) -> list[str]:
    """Read a file in every way; return why each failed, as its error says it."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dcm"
        path.write_bytes(data)
        for read in (image.read_images, part10.data_set_digest, lambda p: part10.compare(p, p)):
            try:
                read(path)
            except InstanceError as error:
                found.append(str(error))
    return found


def sentences(found: list[str]) -> bool:
    return all(reason[0].isupper() and reason.endswith(".") and len(reason) < 120 for reason in found)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_sentence(data: bytes) -> None:
    assert len(found := reasons(data)) == 3
    assert sentences(found)


@settings(deadline=None)
@given(st.sampled_from(SYNTAXES), st.binary(max_size=300))
def test_any_data_set_behind_a_good_start(syntax: str, data: bytes) -> None:
    whole = WHOLE[syntax]
    meta = whole.index(b"1.2.826.0.1.3680043.10.9") + 24
    assert sentences(reasons(whole[:meta] + data))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SYNTAXES), st.data())
def test_damage_anywhere_is_no_crash(syntax: str, data: st.DataObject) -> None:
    whole = bytearray(WHOLE[syntax])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(132, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(len(whole) // 2, len(whole)))
    found = reasons(bytes(whole[:size]))
    assert sentences(found)
    # nothing that names the patient is quoted
    assert not any("ller" in reason or "P-1" in reason for reason in found)


@given(st.text(max_size=80))
def test_only_valid_uids_are_called_valid(text: str) -> None:
    if uids.is_valid_uid(text):
        assert len(text) <= 64
        assert set(text) <= set("0123456789.")
        assert all(part == "0" or (part and part[0] != "0") for part in text.split("."))


@given(UIDS)
def test_sensible_uids_are_valid(uid: str) -> None:
    assert uids.is_valid_uid(uid)


@given(st.floats(-1e6, 1e6))
def test_decimal_strings_keep_a_millionth(value: float) -> None:
    shown = content.decimal(value)
    assert len(shown) <= 16
    assert float(shown) == pytest.approx(value, abs=5e-7)


@given(st.floats(-1e300, 1e300))
def test_decimal_strings_fit(value: float) -> None:
    assert len(content.decimal(value)) <= 16


scores = st.one_of(st.none(), st.floats(0.2, 2.5).map(lambda x: round(x, 6)))
rings = st.lists(
    st.tuples(st.integers(0, 23).map(float), st.integers(0, 19).map(float)), min_size=3, max_size=20
).map(tuple)


def without_missing(ds: Dataset) -> Dataset:
    """Take out measurements without a value, which highdicom cannot read."""
    for item in ds.get("ContentSequence", []):
        without_missing(item)
    if "ContentSequence" in ds:
        kept = [i for i in ds.ContentSequence if i.ValueType != "NUM" or i.MeasuredValueSequence]
        ds.ContentSequence = kept
    return ds


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.tuples(scores, scores, scores, scores), ring=rings, mean=st.floats(0.2, 2.5), tbs=scores)
def test_a_stranger_reads_the_values_back(
    tmp_path: Path,
    values: tuple[float | None, ...],
    ring: tuple[tuple[float, float], ...],
    mean: float,
    tbs: float | None,
) -> None:
    from highdicom.sr import srread

    source = sources.write(tmp_path / "source.dcm", sources.spine())
    vertebrae = tuple(reported.vertebra(i, score=score, region=ring) for i, score in enumerate(values))
    analysis = reported.scored(source, vertebrae=vertebrae, score=mean, tbs=tbs)
    made = measurement_report.build(reported.report(analysis), source)
    written = BytesIO()
    without_missing(dcmread(BytesIO(made.part10))).save_as(written)
    written.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = srread(written).content
        planar = read.get_planar_roi_measurement_groups()
        (summary,) = read.get_image_measurement_groups()
    assert [group.tracking_identifier for group in planar] == ["L1", "L2", "L3", "L4"]
    for group, score in zip(planar, values, strict=True):
        found = {m.name.value: m.value for m in group.get_measurements()}
        assert found.get("TEXSLOPE") == (None if score is None else pytest.approx(score, abs=5e-7))
        closed = [*ring] if ring[0] == ring[-1] else [*ring, ring[0]]
        np.testing.assert_array_equal(group.roi.value, np.array(closed)[:, ::-1] + 0.5)
    found = {m.name.value: m.value for m in summary.get_measurements()}
    assert found["TEXSLOPE"] == pytest.approx(mean, abs=5e-7)
    assert found.get("TBS") == (None if tbs is None else pytest.approx(tbs, abs=5e-7))
