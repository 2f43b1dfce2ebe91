"""Change since earlier examinations: stated only where both can be compared, judged only against LSC.

It is "change", never "response": a change beyond the least significant one is real, and says nothing
about its cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tbsnode.reasons import Code, Finding
from tbsnode.tbs.calibration import ScannerKey
from tbsnode.tbs.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """One scored examination.

    Attributes
    ----------
    examined_on : str
        ``YYYYMMDD``.
    score : float
        Mean slope of `levels`, by `estimator`.
    tbs : float or None
        Calibrated value.
    levels : tuple of str
        Included levels.
    key : ScannerKey
        Scanner, software, input class and spacing.
    estimator : str
        `calibration.estimator_of` its parameters.
    scan_mode : str
        As the header states it; empty where it does not.

    Examples
    --------
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> levels = ("L1", "L2", "L3", "L4")
    >>> Examination(examined_on="20261101", score=1.38, tbs=None, levels=levels, key=key, estimator="{}").tbs
    """

    examined_on: str
    score: float
    tbs: float | None
    levels: tuple[str, ...]
    key: ScannerKey
    estimator: str
    scan_mode: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The change from one earlier examination to this one.

    Attributes
    ----------
    since : str
        Date of the earlier one.
    difference : float
        Now less then, of the slope.
    lsc : float or None
        Least significant change; None without a precision study of these levels: the change is not
        interpreted.
    """

    since: str
    difference: float
    lsc: float | None

    @property
    def exceeds(self) -> bool | None:
        """Whether the change is larger than the least significant one; None if not interpreted."""
        return None if self.lsc is None else abs(self.difference) > self.lsc


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """All comparable changes, oldest first, and why other examinations were left out."""

    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()


def compare(current: Examination, priors: Iterable[Examination], precision: Precision | None) -> Trend:
    """Compare an examination with earlier ones.

    Parameters
    ----------
    current : Examination
        The one that is reported.
    priors : iterable of Examination
        Scored with the same estimator; others are named, not compared.
    precision : Precision or None
        The site's own study of this scanner.

    Returns
    -------
    Trend
        With `PRIOR_NOT_COMPARABLE` or `SCAN_MODE_CHANGED` for each that is left out.

    Examples
    --------
    >>> from dataclasses import replace
    >>> key = ScannerKey(
    ...     manufacturer="Example", model_name="Densitometer 1", device_serial_number="77",
    ...     software_versions="1.0", input_class="IMAGE", pixel_spacing_mm=(0.5, 0.5),
    ... )
    >>> levels = ("L1", "L2", "L3", "L4")
    >>> then = Examination(
    ...     examined_on="20241101", score=1.42, tbs=None, levels=levels, key=key, estimator="{}"
    ... )
    >>> (change,) = compare(replace(then, examined_on="20261101", score=1.38), [then], None).changes
    >>> round(change.difference, 3), change.exceeds  # without a precision study it is not interpreted
    (-0.04, None)
    """
    found = precision.of(current.levels) if precision is not None else None
    lsc = None if found is None else found.lsc
    changes, findings = [], []
    for prior in sorted(priors, key=lambda each: each.examined_on):
        if prior.scan_mode != current.scan_mode:
            detail = (
                f"Scan mode {prior.scan_mode or 'not stated'} then, {current.scan_mode or 'not stated'} now"
            )
            findings.append(Finding(Code.SCAN_MODE_CHANGED, values=(("detail", detail),)))
            continue
        why = _differences(current, prior)
        if why:
            values = (("detail", ", ".join(why)),)
            findings.append(Finding(Code.PRIOR_NOT_COMPARABLE, values=values))
            continue
        changes.append(Change(since=prior.examined_on, difference=current.score - prior.score, lsc=lsc))
    return Trend(changes=tuple(changes), findings=tuple(findings))


def _differences(current: Examination, prior: Examination) -> Sequence[str]:
    if not (current.key.device_serial_number and prior.key.device_serial_number):
        return ["scanner, as far as known: no serial number is stated"]
    if not current.key.same_scanner(prior.key):
        return ["another scanner or input class"]
    found = list(current.key.changes(prior.key))
    if prior.estimator != current.estimator:
        found.append("estimator")
    if prior.levels != current.levels:
        found.append("levels")
    return found
