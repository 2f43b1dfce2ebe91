"""Frozen values that pass between the siblings `dicom`, `net`, `report` and `store`.

Nothing here knows a format, a database or a socket. A pydicom data set or a SQLAlchemy row never
crosses a border; these do, or Part 10 bytes, or a path to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tbsnode.errors import SendOutcome as SendOutcome  # "as": siblings take it from here
from tbsnode.reasons import Finding
from tbsnode.tbs.result import Alternative as Alternative
from tbsnode.tbs.result import Vertebra as Vertebra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tbsnode.tbs.parameters import Parameters


class InputClass(StrEnum):
    """What kind of pixels an image holds (design: what may come in)."""

    RAW = "RAW"
    IMAGE = "IMAGE"
    DISPLAY = "DISPLAY"
    PAGE = "PAGE"
    LOSSY = "LOSSY"


class Claim(StrEnum):
    """What the header says about the body part; headers nominate, pixels decide."""

    SPINE = "spine"  # it names an AP spine
    OTHER = "other"  # it names something else
    SILENT = "silent"  # it names nothing


class AnalysisStatus(StrEnum):
    """The outcome of one image."""

    SCORED = "scored"
    REFUSED = "refused"
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"


class StudyState(StrEnum):
    """Where a study stands."""

    RECEIVING = "receiving"  # instances arrive; `ready_at` is set
    QUEUED = "queued"  # taken by the scanner, a workflow is enqueued
    RUNNING = "running"  # a worker has it
    DONE = "done"  # scored or refused, results published (or withheld: see reason)
    NOT_APPLICABLE = "not_applicable"  # nothing in it is an AP spine; nothing sent
    HELD = "held"  # waits for a person: reason says why
    FAILED = "failed"  # our fault, after retries; `queue retry` runs it again


class DeliveryState(StrEnum):
    """Where one result set to one destination stands."""

    QUEUED = "queued"  # due at `next_try_at`
    RUNNING = "running"  # a sender has it
    SENT = "sent"  # every instance answered 0x0000
    WARNING = "warning"  # stored, with a warning status
    PARTIAL = "partial"  # some stored, some refused
    REFUSED = "refused"  # the peer refused; a retry would not help
    FAILED = "failed"  # unreachable until the deadline, or stopped its worker 5 times
    HELD = "held"  # waits for a person: shadow mode, identity
    SUPERSEDED = "superseded"  # a newer result replaced it before it was sent
    CANCELLED = "cancelled"  # by an administrator
    COMMITTED = "committed"  # the peer took responsibility (storage commitment)


class DerivedKind(StrEnum):
    """What we make."""

    SR = "sr"
    PDF = "pdf"
    OVERLAY = "overlay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A remote application entity that we send to.

    Attributes
    ----------
    name : str
        The destination's name in the configuration.
    ae_title, host, port
        Where it is.
    calling_ae_title : str
        Our own AE title.
    send : tuple of str
        ``"sr"``, ``"pdf"``, ``"overlay"``, ``"source"``.
    sr_class : tuple of str
        Order of SR SOP classes to offer: ``"3d"``, ``"comprehensive"``, ``"enhanced"``.
    """

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    send: tuple[str, ...] = ("sr", "pdf")
    sr_class: tuple[str, ...] = ("3d", "comprehensive", "enhanced")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """One C-STORE (or one imported file), as it lies in ``<archive>/incoming``.

    Attributes
    ----------
    path : Path
        A complete Part 10 file that the taker must move or delete.
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        As the C-STORE command and the presentation context said.
    calling_ae_title, called_ae_title, host : str
        Who sent it.
    association_id : str
        Identifies the association (UUID); empty for an import.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str
    host: str
    association_id: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The result of one image under given parameters and version.

    `score` is the texture slope TEXSLOPE; `tbs` the calibrated Trabecular Bone Score, None unless
    a calibration applied. They are two concepts and never share a name.
    """

    status: AnalysisStatus
    reason: Finding | None
    identity: InstanceIdentity | None
    frame: int
    image_sha256: str
    data_set_sha256: str
    input_class: InputClass | None
    pixel_spacing_mm: tuple[float, float] | None
    spacing_source: str
    label_confidence: float | None
    alternative: Alternative | None
    vertebrae: tuple[Vertebra, ...]
    score: float | None
    standard_error: float | None
    native_score: float | None
    tbs: float | None
    z_score: float | None
    category: str | None
    calibration: str | None
    findings: tuple[Finding, ...]
    parameters: Parameters
    version: str

    @property
    def included(self) -> tuple[str, ...]:
        """Labels that count in the total."""
        return tuple(v.label for v in self.vertebrae if v.included)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference to one SOP instance, with the place it has in its study."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made a result, with what, and when it was committed.

    Attributes
    ----------
    version : str
        Software version of tbsnode.
    device_uid : str
        Device Observer UID, stable for an installation.
    station : str
        AE title of the node.
    serial_number : str
        Identifier of this installation.
    content_at : datetime
        Aware; the time committed with the generation, so that a rerun makes the same bytes.
    """

    version: str
    device_uid: str
    station: str
    serial_number: str
    content_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one result set states: the single source of SR, PDF and overlay.

    Attributes
    ----------
    analysis : Analysis
        The reported image's result (scored or refused).
    source : Reference
        The reported image.
    others : tuple of Analysis
        Further spines of the study, scored and not reported.
    provenance : Provenance
        Version and time; left out of `content_digest`.
    result_digest : str
        SHA-256 hex of everything stated, version and time included.
    simulated : bool
        True for the demonstration's scanner: marked SIMULATED on every page.
    """

    analysis: Analysis
    source: Reference
    others: tuple[Analysis, ...]
    provenance: Provenance
    result_digest: str
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedInstance:
    """One finished object: Part 10 bytes and their names."""

    kind: DerivedKind
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    predecessor_uid: str
    part10: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One archived instance to be sent."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
