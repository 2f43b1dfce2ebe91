"""One picture and what its header says of patient, study and scanner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tbsnode.model.densitometry import PageOrigin, ScannerResults
from tbsnode.model.states import Claim, InputClass
from tbsnode.reasons import Finding
from tbsnode.tbs.result import ScannerRegions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Demographics:
    """The patient as the source header states it, decoded to text.

    Attributes
    ----------
    patient_id, issuer, name, birth_date, sex : str
        Text of the header; empty where absent. `birth_date` is ``YYYYMMDD``.
    age_years : float or None
        Patient's Age, else from birth date and study date.
    height_m, weight_kg : float or None
        Patient's Size and Patient's Weight, as sent.
    """

    patient_id: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    age_years: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None

    @property
    def bmi(self) -> float | None:
        """Body mass index [kg/m2], None where height or weight is missing or implausible."""
        if self.height_m is None or self.weight_kg is None:
            return None
        if not (1.0 <= self.height_m <= 2.3 and 20.0 <= self.weight_kg <= 350.0):
            return None
        return self.weight_kg / self.height_m**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """The acquisition equipment, as the source header states it."""

    manufacturer: str = ""
    model_name: str = ""
    device_serial_number: str = ""
    software_versions: str = ""
    station_name: str = ""
    institution_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceIdentity:
    """What the header of one instance says, without its pixels.

    All texts are decoded with the instance's Specific Character Set and stripped; UIDs are
    validated. Empty means absent or empty.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    demographics: Demographics = field(default_factory=Demographics)
    scanner: Scanner = field(default_factory=Scanner)
    accession_number: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    referring_physician: str = ""
    series_number: str = ""
    instance_number: str = ""
    series_description: str = ""
    protocol_name: str = ""
    body_part_examined: str = ""
    acquisition_date_time: str = ""  # YYYYMMDDHHMMSS, best of acquisition, content, series, study
    order_codes: tuple[str, ...] = ()  # code values and descriptions of procedure and request
    patient_orientation: tuple[str, ...] = ()  # where rows and columns run to, as ("L", "F")
    body_declarations: tuple[str, ...] = ()  # "contrast medium", "radiopharmaceutical", "pregnancy"
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    claim: Claim = Claim.SILENT
    is_image: bool = False
    made_by_tbsnode: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class DensitometryImage:
    """One picture, ready to be measured.

    Attributes
    ----------
    identity : InstanceIdentity
        Its header.
    frame : int
        Zero-based frame.
    pixels : ndarray of shape (M, N), float64
        Stored matrix, bone bright as far as the header tells (MONOCHROME1 inverted), row, column.
    padding_value : float or None
        Pixel Padding Value on the scale of `pixels`, where the header gives one.
    stored_maximum : float
        Largest value the stored bits can hold, on the scale of `pixels`.
    pixel_spacing_mm : tuple of float or None
        (row, column) spacing; None where the header gives none.
    spacing_source : str
        Keyword it came from, ``"ExposedArea"``, ``"configuration"`` or ``""``.
    spacing_needs_check : bool
        True where the anatomical check decides if the spacing may be used.
    input_class : InputClass
        What kind of pixels these are.
    image_sha256 : str
        Digest of matrix shape and decoded pixel values.
    data_set_sha256 : str
        Digest of the encoded data set.
    findings : tuple of Finding
        Doubts about the image itself.
    refusal : Finding or None
        Why no number may be given from these pixels, if so.
    blocked : ndarray of shape (M, N), bool, or None
        Pixels under colored lines, labels and captions: in no mask, in no pair.
    regions : ScannerRegions or None
        The scanner's own lines on this picture, where they can be read.
    results : ScannerResults or None
        The scanner's own results that this instance states.
    page : PageOrigin or None
        Where the picture was cut out of a report page.
    """

    identity: InstanceIdentity
    frame: int
    pixels: NDArray[np.float64]
    padding_value: float | None
    stored_maximum: float
    pixel_spacing_mm: tuple[float, float] | None
    spacing_source: str
    spacing_needs_check: bool
    input_class: InputClass
    image_sha256: str
    data_set_sha256: str
    findings: tuple[Finding, ...] = ()
    refusal: Finding | None = None
    blocked: NDArray[np.bool_] | None = None
    regions: ScannerRegions | None = None
    results: ScannerResults | None = None
    page: PageOrigin | None = None
