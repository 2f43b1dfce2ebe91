"""What the pipeline works with: the archive, the database, the peers and the site's policy.

`node` builds it from the configuration; nothing in the pipeline reads a configuration file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tbsnode.model import Peer, Reviewer, Scanner
from tbsnode.tbs.parameters import Parameters

if TYPE_CHECKING:
    from pathlib import Path

    from tbsnode.dicom.hints import ScannerHints
    from tbsnode.store.archive import Archive
    from tbsnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTiming:
    """How long to wait for the rest of a study from one calling AE title [s]."""

    quiet_s: float
    after_release_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HintRule:
    """What an administrator knows about a scanner that its images do not say.

    Attributes
    ----------
    manufacturer, model_name, device_serial_number : str
        Shell patterns, case-insensitive; empty matches everything.
    hints : ScannerHints
        Linearity and pixel spacing.
    """

    manufacturer: str
    model_name: str
    device_serial_number: str
    hints: ScannerHints

    def matches(self, scanner: Scanner) -> bool:
        """Tell whether the rule is about this scanner."""
        return all(
            not pattern or fnmatchcase(value.lower(), pattern.lower())
            for pattern, value in (
                (self.manufacturer, scanner.manufacturer),
                (self.model_name, scanner.model_name),
                (self.device_serial_number, scanner.device_serial_number),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told when somebody must act.

    Attributes
    ----------
    webhook : str
        Address (http or https) that gets JSON by POST; blank: nobody is told.
    token_file : Path or None
        Holds a token that is sent as ``Authorization: Bearer``.
    interval_s : float
        Between two messages of one kind [s].
    unsent_after_s : float
        A destination that gets nothing for so long while results wait is told of [s].
    certificates : tuple of (str, Path)
        What each certificate is for, and its PEM file.
    """

    webhook: str
    token_file: Path | None = None
    interval_s: float = 900.0
    unsent_after_s: float = 3600.0
    certificates: tuple[tuple[str, Path], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the site decided.

    Attributes
    ----------
    ae_title, serial_number, device_uid, version : str
        Who we are in what we make.
    shadow : bool
        Everything runs, nothing leaves.
    report_refusals : bool
        Whether a refusal is published.
    refusal_pause_after : int
        After how many refusals for one reason in a row those of a scanner are no more; 0: never.
    workers : int
        Analyses at once on this machine.
    timing : CallerTiming
        For callers without their own.
    timing_of : dict of str to CallerTiming
        By calling AE title.
    settle_s : float
        How long to wait, after a study was published, for more of what only adds densities [s].
    when, order_codes
        ``"all"``, or ``"ordered"``: only studies that carry one of the codes.
    max_study_age_days : int
        Older studies are scored and not published.
    phantom_patient_ids : tuple of str
        Shell patterns of patient IDs that are quality control.
    min_free_bytes, min_free_fraction
        The archive's watermark.
    retry_first_s, retry_cap_s, retry_horizon_s : float
        Doubling delays while a peer is unreachable, and for how long.
    hint_rules : tuple of HintRule
        What the site knows of its scanners.
    parameters : Parameters
        Region, estimator and exclusion policy.
    threshold_set, reference_file
        Cut-offs of the texture class, and the site's own reference curve.
    frax_adjustment : bool
        Whether supplied probabilities are adjusted for TBS.
    reviewers : tuple of Reviewer
        Who may sign.
    page_size : str
        ``"A4"`` or ``"letter"``.
    priors_from, priors_most, priors_timeout_s
        Which destination is asked for earlier examinations (empty: none), how many count, and how long
        the search may take [s].
    institution, clearance, coding
        Of the site: its name, its declared clearance, and whether codes are named.
    commitment_timeout_s : float
        How long a destination may take to report what it was asked to keep [s].
    identity_check_after_s : float
        From this age of the newest instance on, a destination is asked if the study still is whose
        it was.
    retention_days, keep_priors_years
        After how many days files that everybody has are deleted (0: never), and how many years those that
        may be needed as earlier examinations stay.
    notify : Notify or None
        Which webhook is told when somebody must act.
    """

    ae_title: str
    serial_number: str
    device_uid: str
    version: str
    shadow: bool
    report_refusals: bool = True
    refusal_pause_after: int = 20
    workers: int = 1
    timing: CallerTiming
    timing_of: dict[str, CallerTiming] = field(default_factory=dict)
    settle_s: float = 900.0
    when: str = "all"
    order_codes: tuple[str, ...] = ()
    max_study_age_days: int = 30
    phantom_patient_ids: tuple[str, ...] = ()
    min_free_bytes: int = 0
    min_free_fraction: float = 0.0
    retry_first_s: float = 30.0
    retry_cap_s: float = 600.0
    retry_horizon_s: float = 72 * 3600.0
    commitment_timeout_s: float = 24 * 3600.0
    identity_check_after_s: float = 3600.0
    hint_rules: tuple[HintRule, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    threshold_set: str = "B"
    reference_file: Path | None = None
    frax_adjustment: bool = False
    reviewers: tuple[Reviewer, ...] = ()
    page_size: str = "A4"
    priors_from: str = ""
    priors_most: int = 8
    priors_timeout_s: float = 20.0
    institution: str = ""
    clearance: str = ""
    coding: bool = False
    retention_days: int = 0
    keep_priors_years: float = 10.0
    notify: Notify | None = None

    def timing_for(self, calling_ae_title: str) -> CallerTiming:
        """Return how long to wait after instances of a caller."""
        return self.timing_of.get(calling_ae_title, self.timing)

    def is_phantom(self, patient_id: str) -> bool:
        """Tell whether a patient ID is one of quality control."""
        return any(fnmatchcase(patient_id.upper(), p.upper()) for p in self.phantom_patient_ids)

    def is_ordered(self, codes: tuple[str, ...]) -> bool:
        """Tell whether one of the wanted codes occurs in the study's order."""
        wanted = [code.upper() for code in self.order_codes]
        return any(want == code.upper() or want in code.upper().split() for want in wanted for code in codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything a step of the pipeline needs.

    `callers` are those that get reports of storage commitment at a port of theirs; without a host, at
    the address they call from.
    """

    database: Database
    archive: Archive
    peers: tuple[Peer, ...]
    policy: Policy
    callers: tuple[Peer, ...] = ()

    def peer(self, name: str) -> Peer | None:
        """Return the destination of that name, None where the configuration has none."""
        return next((peer for peer in self.peers if peer.name == name), None)
