"""When a study was made, as its header states it: how old it is, and which of two came first."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime


def local_day(at: float) -> date:
    """Return the day of the node's time zone, in which its scanners write dates.

    Parameters
    ----------
    at : float
        Seconds since the epoch (UTC).
    """
    return datetime.fromtimestamp(at, UTC).astimezone().date()


def local_time(at: float) -> str:
    """Return a time of the node's time zone with its offset, without which an hour of autumn comes twice.

    Parameters
    ----------
    at : float
        Seconds since the epoch (UTC).
    """
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat(sep=" ", timespec="seconds")


def study_age_days(study_date: str, now: float) -> int | None:
    """Return a study's age in days at `now`, None where its date is absent or no date.

    Parameters
    ----------
    study_date : str
        Study Date (DA).
    now : float
        Seconds since the epoch (UTC).
    """
    if not re.fullmatch(r"\d{8}", study_date):
        return None
    try:
        taken = date(int(study_date[:4]), int(study_date[4:6]), int(study_date[6:]))
    except ValueError:
        return None
    return (local_day(now) - taken).days


def is_earlier(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Tell whether a study was surely before another one.

    Parameters
    ----------
    one, other : tuple of str
        Study Date (DA) and Study Time (TM) as the headers state them.

    Examples
    --------
    >>> is_earlier(("20240305", ""), ("20240306", ""))
    True
    >>> is_earlier(("20240305", "0915"), ("20240305", "101500.25"))
    True
    >>> is_earlier(("20240305", ""), ("20240305", "101500"))  # nobody knows
    False
    """
    dates = one[0], other[0]
    if not all(re.fullmatch(r"\d{8}", date) for date in dates):
        return False
    if dates[0] != dates[1]:
        return dates[0] < dates[1]
    times = [_time(each[1]) for each in (one, other)]
    return bool(times[0] and times[1]) and times[0] < times[1]


def _time(text: str) -> str:
    """Return a time that sorts as text: six digits and the fraction; empty where it is none."""
    whole, _, fraction = text.replace(":", "").strip().partition(".")
    if not re.fullmatch(r"\d{2}(\d{2}){0,2}", whole):
        return ""
    return whole.ljust(6, "0") + "." + fraction
