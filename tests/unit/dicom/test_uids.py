"""Which UIDs are valid, and that ours are derived from what they name."""

from __future__ import annotations

import pytest

from tbsnode.dicom import uids

FROZEN = {
    "derived": "2.25.5124219494676085475705928852828386390",
    "series": "2.25.309019863766812748920059836897565571227",
    "implementation": "2.25.279998119923819783324424023499630841581",
}


@pytest.mark.parametrize("uid", ["1.2", "1.2.840.10008.1.1", "0.0", "2.25." + "9" * 39, "1." + "2" * 62])
def test_valid(uid: str) -> None:
    assert uids.is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid",
    ["", "1", "1.", ".1", "1..2", "1.02", "1.2.", "1.2\n", "1.a", "../1.2", "1.2/3", "1.2\\1.3", "1 .2",
     "1." + "2" * 63, "1.²", "-1.2"],
)  # fmt: skip
def test_invalid(uid: str) -> None:
    assert not uids.is_valid_uid(uid)


def test_derived_from_every_part() -> None:
    parts = ["sr", "1.2.3", "ab", "1.2.9"]
    base = uids.derived_uid(*parts)
    assert base == uids.derived_uid(*parts)
    others = {uids.derived_uid(*[*parts[:i], "x", *parts[i + 1 :]]) for i in range(4)}
    assert len(others | {base}) == 5
    assert all(uids.is_valid_uid(uid) for uid in others)


def test_a_uid_once_given_never_changes() -> None:
    # archives hold these: a change of the derivation would send every study again
    assert uids.derived_uid("sr", "1.2.3", "ab", "") == FROZEN["derived"]
    assert uids.series_uid("1.2.3", "sr") == FROZEN["series"]
    assert FROZEN["implementation"] == uids.IMPLEMENTATION_CLASS_UID


def test_series_tracking_and_device_are_apart() -> None:
    made = {
        uids.series_uid("1.2", "sr"), uids.series_uid("1.2", "pdf"), uids.series_uid("1.3", "sr"),
        uids.tracking_uid("1.2", "L1"), uids.tracking_uid("1.2", "L2"), uids.device_uid("node-1"),
    }  # fmt: skip
    assert len(made) == 6
    assert all(uids.is_valid_uid(uid) for uid in made)


def test_version_name_fits_its_attribute() -> None:
    assert uids.implementation_version_name("10.20.30.dev4+long") == "TBSNODE_10_20_30"
