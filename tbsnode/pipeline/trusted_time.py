"""What time it is, as far as scanners bear it out: nothing is deleted on the word of one clock.

A fault of NTP, a dead battery or a restored machine sets a clock years ahead, and every study is old.
The Study Dates of what came last are from other clocks. No study is taken to be older than they say.
Where nothing comes any more, nothing grows older, until an administrator says that the clock is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.pipeline.study_dates import study_age_days
from tbsnode.store import retention

if TYPE_CHECKING:
    from tbsnode.store.database import Transaction

DAY_S = 86400.0
DOUBTFUL_DAYS = 60  # no holiday is so long
_LOOKED_AT = 1000  # studies that came last; an import of old ones must not hide them
_WITNESSES = 3  # one study may be dated wrongly
_LEEWAY_DAYS = 7.0  # a weekend, a holiday; a quarter of the time that files are kept, if that is less


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedTime:
    """A time by which things may be called old.

    Attributes
    ----------
    now : float
        No later than the clock [seconds since the epoch].
    ahead_days : int
        By so many days the clock is ahead of the newest studies; 0 where no study says what day it is.
    """

    now: float
    ahead_days: int

    @property
    def is_doubtful(self) -> bool:
        """Whether the clock is further ahead than any holiday explains."""
        return self.ahead_days > DOUBTFUL_DAYS


def trusted_time(tx: Transaction, *, kept_days: float) -> TrustedTime:
    """Return the time as scanners bear it out.

    Parameters
    ----------
    tx : Transaction
        Any.
    kept_days : float
        How long files are kept: one that is kept for a month is not to go a week too early.
    """
    ages = (study_age_days(date, tx.now) for date in retention.newest_study_dates(tx, _LOOKED_AT))
    # in a time zone before UTC, tomorrow has begun
    witnesses = sorted(max(age, 0) for age in ages if age is not None and age >= -1)[:_WITNESSES]
    if not witnesses:
        return TrustedTime(now=tx.now, ahead_days=0)
    ahead = witnesses[-1]
    unexplained = ahead - 1 - min(_LEEWAY_DAYS, kept_days / 4)  # "a day" may be a minute before midnight
    return TrustedTime(now=tx.now - max(0.0, unexplained) * DAY_S, ahead_days=ahead)


def objection(tx: Transaction) -> str:
    """Say that the clock of this machine is far ahead of what scanners send, if it is."""
    ahead = trusted_time(tx, kept_days=0.0)
    return told(ahead.ahead_days) if ahead.is_doubtful else ""


def told(ahead_days: int) -> str:
    """Say by how much the clock is ahead."""
    return f"The newest studies are dated {ahead_days} days before the clock of this machine."


REMEDY = (
    "Correct the clock (NTP); meanwhile retention lets nothing grow older. If it is right and no scanner has"
    " sent anything for so long: `tbsnode retention run --trust-clock` deletes what is old by it, once."
)
