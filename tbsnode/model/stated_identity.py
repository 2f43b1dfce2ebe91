"""Whose a study is by now, where that is not what its scanner wrote."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbsnode.model.image import InstanceIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedIdentity:
    """What the instances of a study have to say of its patient and order; None: as received.

    Attributes
    ----------
    patient_id, issuer, name, birth_date, sex, accession_number : str or None
        Decoded text; empty means that nothing is stated.
    """

    patient_id: str | None = None
    issuer: str | None = None
    name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession_number: str | None = None

    def differences(self, identity: InstanceIdentity) -> tuple[str, ...]:
        """Return the names of the fields in which a header differs."""
        found = {
            "patient_id": identity.demographics.patient_id,
            "issuer": identity.demographics.issuer,
            "name": identity.demographics.name,
            "birth_date": identity.demographics.birth_date,
            "sex": identity.demographics.sex,
            "accession_number": identity.accession_number,
        }
        wanted = {field.name: getattr(self, field.name) for field in fields(self)}
        return tuple(name for name, value in wanted.items() if value is not None and value != found[name])
