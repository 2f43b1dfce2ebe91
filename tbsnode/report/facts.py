"""What the report states, as pairs of words: who, where, with what, and the one-sentence result."""

from __future__ import annotations

from tbsnode import text
from tbsnode.model import Demographics, InstanceIdentity, Report
from tbsnode.reasons import Actor, Code, Finding, Severity
from tbsnode.report.lettering import FIRST_EAST_ASIAN, is_marked

Pair = tuple[str, str]

SEVERITY_RANK = {
    Severity.FAIL: 0,
    Severity.HOLD: 1,
    Severity.EXCLUDE: 2,
    Severity.WARN: 3,
    Severity.INFO: 4,
}
LONGEST_FIELD = 80  # characters of one header field; DICOM allows 64, and our words stand beside it
LONGEST_DATE = 20
# what keeps a calibrated scanner from a value; the last one only where what is modeled is missing
WITHHELD = (
    Code.CALIBRATION_SUSPENDED,
    Code.CALIBRATION_EXPIRED,
    Code.TBS_OUT_OF_RANGE,
    Code.OUTSIDE_CALIBRATION_RANGE,
)
LEFT_OUT = (Code.PRIOR_NOT_COMPARABLE, Code.SCAN_MODE_CHANGED)  # why an earlier examination is
SEVERAL = (*LEFT_OUT, Code.OUTSIDE_CALIBRATION_RANGE)  # what may be found more than once


def withholding(report: Report) -> Finding | None:
    """Return what keeps a calibrated scanner from a value; None where it has one, or no calibration."""
    if report.analysis.tbs is not None:
        return None
    findings = report.analysis.findings
    return next((f for code in WITHHELD for f in findings if f.code is code), None)


def all_findings(report: Report) -> tuple[Finding, ...]:
    """Return every finding once: the most severe first, and what the reader must do before the rest."""
    analysis = report.analysis
    found = [
        *([analysis.reason] if analysis.reason else []),
        *(v.excluded for v in analysis.vertebrae if v.excluded),
        *analysis.findings,
        *(analysis.follow_up.findings if analysis.follow_up else ()),
        *([analysis.frax.finding] if analysis.frax and analysis.frax.finding else []),
    ]
    once = {_key(finding): finding for finding in reversed(found)}
    ordered = [once[key] for key in dict.fromkeys(map(_key, found))]
    return tuple(sorted(ordered, key=_rank))


def _key(finding: Finding) -> tuple[object, ...]:
    """Tell findings apart; each earlier examination and each covariate has its own."""
    each = finding.values if finding.code in SEVERAL else ()
    return finding.code, finding.vertebra, each


def _rank(finding: Finding) -> tuple[int, bool]:
    return SEVERITY_RANK[finding.severity], finding.actor is not Actor.PHYSICIAN


def alerts(report: Report) -> tuple[Finding, ...]:
    """Return what stands above everything else on page 1: a possible fracture."""
    return tuple(f for f in all_findings(report) if f.code is Code.REDUCED_HEIGHT)


def person(name: str) -> str:
    """Write a DICOM person name for people: the alphabetic group, and the ideographic one beside it.

    Examples
    --------
    >>> person("Doe^Jane^Mary^Dr^"), person("Yamada^Tarou=山田^太郎=やまだ^たろう")
    ('Doe, Jane Mary, Dr', 'Yamada, Tarou (山田 太郎)')
    """
    written = _writings(name)
    return " ".join([*written[:1], *(f"({other})" for other in written[1:])])


def _writings(name: str) -> list[str]:
    """Return each way in which a name is written, of the first two groups that the standard has."""
    groups = [_group(group) for group in name.split("=")]
    written = list(dict.fromkeys(group for group in groups[:2] if group))
    # the phonetic group is better than no name
    return written or [group for group in groups if group][:1]


def has_unprintable_name(report: Report) -> bool:
    """Tell whether the patient has a name, and no way in which it is written can be printed."""
    identity = report.analysis.identity
    written = _writings(identity.demographics.name) if identity else []
    return bool(written) and all(is_marked(each) for each in written)


def _group(group: str) -> str:
    family, given, middle, prefix, suffix = (*(part.strip() for part in group.split("^")), *[""] * 5)[:5]
    first = " ".join(part for part in (given, middle) if part)
    parts = [part for part in (family, first, prefix, suffix) if part]
    # Chinese, Japanese and Korean names stand without a comma
    return (" " if all(ord(c) >= FIRST_EAST_ASIAN for c in family + first) else ", ").join(parts)


def date(value: str) -> str:
    """Write a DICOM date (or date and time) for people; anything else stays as it is.

    Examples
    --------
    >>> date("19560229"), date("20260301104205"), date("")
    ('1956-02-29', '2026-03-01 10:42', '')
    """
    if not value.isdigit() or len(value) < 8:
        return value
    day = f"{value[:4]}-{value[4:6]}-{value[6:8]}"
    return f"{day} {value[8:10]}:{value[10:12]}" if len(value) >= 12 else day


def patient_pairs(report: Report, language: str) -> list[Pair]:
    """Return who it is, labels and values."""
    identity = report.analysis.identity
    who = identity.demographics if identity else Demographics()
    say = _Say(language)
    identifier = _clipped(who.patient_id) + (f" ({_clipped(who.issuer)})" if who.issuer else "")
    return [
        say.pair("patient", _clipped(person(who.name))),
        say.pair("patient_id", identifier),
        say.pair("birth_date", date(_clipped(who.birth_date, LONGEST_DATE))),
        say.pair("sex_age", _sex_and_age(who, say)),
        say.pair("body_size", _body_size(who, say)),
    ]


def study_pairs(report: Report, language: str) -> list[Pair]:
    """Return which study, labels and values."""
    identity = report.analysis.identity
    say = _Say(language)
    if identity is None:
        return [say.pair("study", ""), say.pair("reported_at", _made(report))]
    at = identity.study_date + identity.study_time[:4] if identity.study_date else ""
    return [
        say.pair("study", _clipped(identity.study_description or identity.study_id)),
        say.pair("study_date", date(_clipped(at, LONGEST_DATE))),
        say.pair("accession", _clipped(identity.accession_number)),
        say.pair("referring", _clipped(person(identity.referring_physician))),
        say.pair("reported_at", _made(report)),
    ]


def scanner_pairs(report: Report, language: str) -> list[Pair]:
    """Return which scanner, label and value."""
    identity = report.analysis.identity
    say = _Say(language)
    return [say.pair("scanner", _scanner(identity, say) if identity else "")]


def provenance_pairs(report: Report, language: str) -> list[Pair]:
    """Return what a stranger needs to repeat the result, labels and values."""
    say = _Say(language)
    analysis, made = report.analysis, report.provenance
    kind = analysis.input_class
    calibration = analysis.calibration or say.words("uncalibrated")
    return [
        say.pair("software_version", f"tbsnode {made.version}"),
        say.pair("node", ", ".join(part for part in (made.station, made.serial_number) if part)),
        say.pair("reported_at", _made(report)),
        say.pair("calibration", calibration),
        say.pair("input_class", say.words(f"input_{kind.value}") if kind else ""),
        say.pair("pixel_spacing", _spacing(report, say)),
        say.pair("study_uid", report.source.study_instance_uid),
        say.pair("series_uid", report.source.series_instance_uid),
        say.pair("image_uid", report.source.sop_instance_uid),
        say.pair("frame", str(analysis.frame + 1)),
        say.pair("image_digest", analysis.image_sha256),
        say.pair("data_set_digest", analysis.data_set_sha256),
        say.pair("result_digest", report.result_digest),
        say.pair("device_uid", made.device_uid),
    ]


class _Say:
    """The phrases of one language."""

    def __init__(self, language: str) -> None:
        self._language = language

    def words(self, key: str, **values: str) -> str:
        return text.phrase(key, language=self._language, **values)

    def pair(self, key: str, value: str) -> Pair:
        return self.words(key), value.strip() or self.words("not_stated")


def _made(report: Report) -> str:
    return report.provenance.content_at.isoformat(sep=" ", timespec="seconds")


def _sex_and_age(who: Demographics, say: _Say) -> str:
    sex = say.words(f"sex_{who.sex}") if who.sex in ("F", "M", "O") else _clipped(who.sex, LONGEST_DATE)
    age = "" if who.age_years is None else say.words("years", years=f"{int(who.age_years)}")
    return ", ".join(part for part in (sex, age) if part)


def _body_size(who: Demographics, say: _Say) -> str:
    parts = [
        say.words("height", height=f"{who.height_m:.2f}") if who.height_m is not None else "",
        say.words("weight", weight=f"{who.weight_kg:.1f}") if who.weight_kg is not None else "",
        say.words("bmi", bmi=f"{who.bmi:.1f}") if who.bmi is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _scanner(identity: InstanceIdentity, say: _Say) -> str:
    scanner = identity.scanner
    parts = [
        scanner.manufacturer,
        scanner.model_name,
        say.words("serial", serial=scanner.device_serial_number) if scanner.device_serial_number else "",
        say.words("software", version=scanner.software_versions) if scanner.software_versions else "",
        scanner.station_name,
        scanner.institution_name,
    ]
    return ", ".join(_clipped(part) for part in parts if part)


def _clipped(value: str, longest: int = LONGEST_FIELD) -> str:
    return value if len(value) <= longest else value[: longest - 1] + "…"


def _spacing(report: Report, say: _Say) -> str:
    spacing = report.analysis.pixel_spacing_mm
    if spacing is None:
        return ""
    source = report.analysis.spacing_source or say.words("not_stated")
    return say.words("spacing_value", row=f"{spacing[0]:.4g}", column=f"{spacing[1]:.4g}", source=source)
