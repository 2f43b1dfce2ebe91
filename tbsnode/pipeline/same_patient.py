"""Whether two examinations under one Patient ID are of one patient.

A Patient ID alone proves nothing: sites reuse them, and two sites give the same one to different
people. Issuer, birth date and sex must agree as well; whatever differs, or cannot be told, means no.
The name is never asked: it changes with a marriage and a spelling, and is shared by strangers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from tbsnode.model import Demographics

ISSUER, BIRTH_DATE, SEX = "Issuer of Patient ID", "Patient's Birth Date", "Patient's Sex"


def differences(
    ours: Demographics, theirs: Demographics, *, may_lack: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the attributes that speak against one patient; both have the same Patient ID.

    Parameters
    ----------
    ours, theirs : Demographics
        As the headers state them.
    may_lack : collection of str
        Attributes that `theirs` may leave empty: what an archive does not return, it does not deny.

    Returns
    -------
    tuple of str
        Names of attributes, never values; empty where it is one patient. A birth date that neither
        states is named too: nothing but a number would hold the two together.

    Examples
    --------
    >>> from tbsnode.model import Demographics
    >>> one = Demographics(patient_id="7", birth_date="19500102", sex="F")
    >>> differences(one, Demographics(patient_id="7", birth_date="19500102", sex="F"))
    ()
    >>> differences(one, Demographics(patient_id="7", birth_date="19500201", sex="F"))
    ("Patient's Birth Date",)
    """
    pairs = (
        (ISSUER, ours.issuer, theirs.issuer),
        (BIRTH_DATE, ours.birth_date, theirs.birth_date),
        (SEX, ours.sex, theirs.sex),
    )
    found = [name for name, own, other in pairs if own != other and not (name in may_lack and not other)]
    if not ours.birth_date and BIRTH_DATE not in found:
        found.append(BIRTH_DATE)
    return tuple(found)
