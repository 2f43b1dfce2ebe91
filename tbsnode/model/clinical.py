"""What people declare about a patient: risk factors, fracture probabilities, densities of other sites.

Nothing of it is computed here, and nothing is guessed: what was not declared is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tbsnode.model.densitometry import ScannerResults
from tbsnode.tbs.frax import Supplied


class Factor(StrEnum):
    """A risk factor that somebody may declare; the first seven are those that FRAX asks for."""

    PREVIOUS_FRACTURE = "previous_fracture"
    PARENTAL_HIP_FRACTURE = "parental_hip_fracture"
    CURRENT_SMOKING = "current_smoking"
    GLUCOCORTICOIDS = "glucocorticoids"
    RHEUMATOID_ARTHRITIS = "rheumatoid_arthritis"
    SECONDARY_OSTEOPOROSIS = "secondary_osteoporosis"
    ALCOHOL = "alcohol"
    TYPE_2_DIABETES = "type_2_diabetes"
    FALLS = "falls"
    RECENT_FRACTURE = "recent_fracture"


# where an earlier fracture was; "hip" and "vertebra" decide colors (design: the number, category)
FRACTURE_SITES = ("hip", "vertebra", "wrist", "humerus", "pelvis", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalContext:
    """Declared context of one examination.

    Attributes
    ----------
    present, absent : tuple of Factor
        Declared as present and as absent, in the order of `Factor`; all others are unknown.
    fracture_sites : tuple of str
        Of `FRACTURE_SITES`, where the previous fracture's place was declared.
    glucocorticoid_mg_day : float or None
        Prednisolone equivalent.
    menopausal_status : str
        ``"post"``, ``"pre"`` or empty.
    frax : Supplied or None
        Probabilities as supplied, with their source.
    densitometry : ScannerResults or None
        Densities and scores that the scanner did not send, `source` ``"import"``.
    source : str
        Who declared it, as the import states it; never empty.
    """

    present: tuple[Factor, ...] = ()
    absent: tuple[Factor, ...] = ()
    fracture_sites: tuple[str, ...] = ()
    glucocorticoid_mg_day: float | None = None
    menopausal_status: str = ""
    frax: Supplied | None = None
    densitometry: ScannerResults | None = None
    source: str = ""
