"""Tables of examinations to calibrations and precision studies.

Scores are always computed anew with today's estimator, from the node's own archive or from files:
a stored number may come from another version. All images of a calibration must come from one
scanner with one software, input class and spacing.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbsnode.errors import CalibrationError, NotFound
from tbsnode.model import Analysis, AnalysisStatus
from tbsnode.pipeline.analyze import AnalysisSettings, analyze_file
from tbsnode.pipeline.interpret import person_of, scanner_key
from tbsnode.store import audit, calibrations, catalogue, results, reviews
from tbsnode.tbs import calibration, precision
from tbsnode.tbs.calibration_fit import Fit, Pair
from tbsnode.tbs.calibration_pairs import Examination, counted_once, of_two_subjects
from tbsnode.tbs.result import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from tbsnode.pipeline.site import Site
    from tbsnode.tbs.calibration import Calibration, ScannerKey

UID = "uid"  # column of a Study or SOP Instance UID of this node's archive, or a file's path
_MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a table: its number and its cells by column."""

    number: int
    cells: dict[str, str]

    def text(self, column: str) -> str:
        """Return a cell that must not be empty."""
        value = self.cells.get(column, "").strip()
        if not value:
            raise CalibrationError(f"Line {self.number}: the column {column} is empty.", remedy="Fill it in.")
        return value

    def number_in(self, column: str) -> float:
        """Return a cell that must be a number."""
        value = self.text(column)
        try:
            return float(value)
        except ValueError as error:
            message = f"Line {self.number}: {column} is {value!r}, not a number."
            raise CalibrationError(message, remedy="Write it with a decimal point.") from error


def read_table(path: Path, columns: Sequence[str]) -> tuple[Line, ...]:
    """Read a CSV table with a header line.

    Raises
    ------
    CalibrationError
        If it is no such table, or a column is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise CalibrationError(
                    f"{path} has no column {', '.join(missing)}.",
                    remedy=f"Its first line must name the columns: {','.join(columns)}.",
                )
            lines = tuple(
                Line(number=reader.line_num, cells={k: v or "" for k, v in row.items() if k is not None})
                for row in reader
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CalibrationError(f"{path} cannot be read: {error}.", remedy="Save it as CSV, UTF-8.") from error
    if not 0 < len(lines) <= _MAX_ROWS:
        raise CalibrationError(f"{path} has {len(lines)} lines.", remedy=f"1 to {_MAX_ROWS} are expected.")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One examination, scored now."""

    line: Line
    uid: str
    analysis: Analysis

    @property
    def scan(self) -> str:
        """What names the scan: a scan counts once, whatever it was called in the table."""
        return self.analysis.image_sha256


def score(
    site: Site | None,
    lines: Iterable[Line],
    settings: AnalysisSettings,
    *,
    column: str = UID,
) -> Iterable[Scored]:
    """Score the examination that each line names.

    Parameters
    ----------
    site : Site or None
        Whose archive the UIDs are looked up in; None where the table names files only.
    lines : iterable of Line
        With a UID or a path in `column`.
    settings : AnalysisSettings
        The estimator.

    Yields
    ------
    Scored
        In the order of the lines.

    Raises
    ------
    CalibrationError
        If an examination is not found, gives no score, or lacks one of L1 to L4.
    """
    for line in lines:
        name = line.text(column)
        path = Path(name) if Path(name).is_file() else _archived(site, name)
        if path is None:
            raise CalibrationError(
                f"Line {line.number}: {name} is neither a file nor in this node's archive.",
                remedy="Import it (`tbsnode study import`), or correct the line.",
            )
        found = [each.analysis for each in analyze_file(path, settings)]
        analysis = next((each for each in found if each.status is AnalysisStatus.SCORED), None)
        if analysis is None or analysis.included != LABELS:
            raise CalibrationError(f"Line {line.number}: {_why(found)}", remedy="Leave this line out.")
        yield Scored(line=line, uid=name, analysis=analysis)


def _why(found: Sequence[Analysis]) -> str:
    reasons = [each.reason.code.value for each in found if each.reason is not None]
    if reasons:
        return f"it gives no score ({', '.join(reasons)})."
    return "not all of L1 to L4 are included."


def _archived(site: Site | None, uid: str) -> Path | None:
    """Return the archived spine image of a SOP Instance or Study Instance UID."""
    if site is None:
        return None
    with site.database.read() as tx:
        found = [row for row in catalogue.find_instances(tx, uid) if row.state == "current"]
        study = catalogue.study_by_uid(tx, uid)
        whose = {row.study_ref for row in found} | ({study.id} if study else set())
        if reviews.rejected_studies(tx, whose):
            raise CalibrationError(
                f"A reviewer rejected the result of {uid}.", remedy="Leave this examination out."
            )
        if not found and study is not None:
            reported = [each for each in results.analyses_of_study(tx, study.id) if each.reported]
            ref = reported[-1].instance_ref if reported else None
            found = [row for row in catalogue.instances_of_study(tx, study.id) if row.id == ref]
    return site.archive.path(found[-1].path) if found else None


def one_key(scored: Sequence[Scored]) -> ScannerKey:
    """Return the scanner that all examinations come from.

    Raises
    ------
    CalibrationError
        If they come from several, from one in several states, or from one that cannot be told from others.
    """
    key = scanner_key(scored[0].analysis)
    if not key.device_serial_number:
        raise CalibrationError(
            f"Line {scored[0].line.number}: the image states no DeviceSerialNumber, so its scanner cannot be "
            "told from another of its model.",
            remedy="Let the scanner export its serial number.",
        )
    for each in scored[1:]:
        other = scanner_key(each.analysis)
        changes = key.changes(other) if key.same_scanner(other) else ("scanner or input class",)
        if changes:
            raise CalibrationError(
                f"Line {each.line.number} differs from line {scored[0].line.number} in {', '.join(changes)}.",
                remedy="Calibrate each scanner, software, input class and spacing from its own table.",
            )
    return key


def pair_of(scored: Scored, tbs: float) -> Pair:
    """Return an examination with the value it is paired with."""
    assert scored.analysis.score is not None
    person = person_of(scored.analysis)
    return Pair(
        scan=scored.scan,
        score=scored.analysis.score,
        tbs=tbs,
        bmi=person.bmi,
        age_years=person.age_years,
        sex=person.sex,
        statistics=scored.analysis.statistics,
        standard_error=scored.analysis.standard_error,
    )


def examination_of(scored: Scored) -> Examination:
    """Return an examination of the site's own people.

    Whose it is says the column ``subject`` where there is one, else the patient ID of the header.
    """
    assert scored.analysis.score is not None
    identity = scored.analysis.identity
    assert identity is not None
    who = identity.demographics
    return Examination(
        scan=scored.scan,
        score=scored.analysis.score,
        age_years=who.age_years,
        subject=scored.line.cells.get("subject", "").strip() or who.patient_id,
        taken_at=identity.study_date + identity.study_time if identity.study_date else "",
    )


def each_adult_once(examined: Sequence[Scored]) -> tuple[tuple[Scored, ...], tuple[dict[str, Any], ...]]:
    """Choose the latest examination of everyone.

    Returns
    -------
    tuple of (tuple of Scored, tuple of dict)
        Those that count; and of each left out its ``line``, the ``counted_line`` that counts instead,
        and whether both are the ``same`` scan or the same subject.

    Raises
    ------
    CalibrationError
        If one scan is said to be of two patients: one of them is wrong.
    """
    examinations = [examination_of(each) for each in examined]
    torn = of_two_subjects(examinations)
    if torn:
        one = [place for place in torn if examinations[place].scan == examinations[torn[0]].scan]
        lines = " and ".join(str(examined[place].line.number) for place in one)
        raise CalibrationError(
            f"Lines {lines} are one scan, said to be of different patients.",
            remedy="Correct the patient, or leave the wrong line out.",
        )
    counts, repeats = counted_once(examinations)
    left_out = tuple(
        {
            "line": examined[each.left_out].line.number,
            "counted_line": examined[each.counted].line.number,
            "same": each.same,
        }
        for each in repeats
    )
    return tuple(examined[place] for place in counts), left_out


def details_of(fit: Fit, scored: Sequence[Scored], column: str = "tbs") -> dict[str, Any]:
    """Return what is stored beside a calibration: the numbers of its fit, and its pairs."""
    pairs = [
        {
            "uid": each.uid,
            "image_sha256": each.scan,
            "score": each.analysis.score,
            column: each.line.cells.get(column),
        }
        for each in scored
    ]
    return {"statistics": asdict(fit.statistics) if fit.statistics else None, "pairs": pairs}


def store(site: Site, made: Calibration, details: dict[str, Any]) -> bool:
    """Put a calibration into use; False where the very same one is stored already."""
    with site.database.transaction() as tx:
        new = calibrations.add(tx, made, details)
        if new:
            text = f"{made.kind.value} calibration {made.calibration_id} approved by {made.approved_by}"
            audit.add_event(tx, "calibration.added", text)
    return new


def listed(site: Site) -> tuple[calibrations.CalibrationRow, ...]:
    """Return all calibrations, oldest first."""
    with site.database.read() as tx:
        return calibrations.rows(tx)


def found(site: Site, calibration_id: str) -> calibrations.CalibrationRow:
    """Return one calibration.

    Raises
    ------
    NotFound
        If there is none of that name.
    """
    with site.database.read() as tx:
        row = calibrations.by_id(tx, calibration_id)
    if row is None:
        raise NotFound(
            f"There is no calibration {calibration_id}.",
            remedy="`tbsnode calibration list` shows those there are.",
        )
    return row


def in_force(site: Site, calibration_id: str, on: date) -> Calibration:
    """Return a calibration that another one may rest on: active and valid.

    Raises
    ------
    CalibrationError
        If there is none of that name, or it is retired, superseded or past its end: what was taken out of
        use does not come back under another name.
    """
    row = found(site, calibration_id)
    if row.state != calibrations.ACTIVE:
        raise CalibrationError(
            f"{calibration_id} is {row.state}: {row.reason}.",
            remedy="Name an active one (`calibration list`), or fit a new one.",
        )
    if row.calibration.valid_until < on:
        raise CalibrationError(
            f"{calibration_id} ended on {row.calibration.valid_until}.", remedy="Fit a new one."
        )
    return row.calibration


def retire(site: Site, calibration_id: str, reason: str) -> None:
    """Take a calibration out of use.

    Raises
    ------
    CalibrationError
        If it is not active.
    """
    found(site, calibration_id)
    with site.database.transaction() as tx:
        if not calibrations.retire(tx, calibration_id, reason):
            raise CalibrationError(f"{calibration_id} is not active.", remedy="See `calibration list`.")
        audit.add_event(tx, "calibration.retired", f"calibration {calibration_id} retired: {reason}")


# ---- precision ----------------------------------------------------------------------------------


def precision_record(scored: Sequence[Scored]) -> dict[str, Any]:
    """Compute a site's precision from repeated scans; the column ``subject`` says whose.

    Raises
    ------
    CalibrationError
        If the scans come from several scanners, a scan occurs twice, or nobody was scanned twice.
    """
    key = one_key(scored)
    if len({each.scan for each in scored}) < len(scored):
        raise CalibrationError(
            "One scan occurs twice.", remedy="A repeat is a second scan, not a second copy."
        )
    scans = []
    for each in scored:
        identity = each.analysis.identity
        scores = {v.label: v.score for v in each.analysis.vertebrae if v.included and v.score is not None}
        day = identity.study_date if identity else ""
        scans.append(precision.Scan(subject=each.line.text("subject"), scores=scores, day=day))
    made = precision.fit(scans)
    if not made.sets:
        raise CalibrationError(
            "Nobody was scanned twice with the same two levels scored.",
            remedy="The column subject must name each person in every line of that person's scans.",
        )
    return {
        "key": asdict(key),
        "estimator": calibration.estimator_of(scored[0].analysis.parameters),
        "same_day": made.same_day,
        "enough": made.is_enough,
        "sets": [asdict(each) for each in made.sets],
    }


def store_precision(site: Site, record: dict[str, Any], approved_by: str) -> None:
    """Put a precision study into use."""
    with site.database.transaction() as tx:
        calibrations.add_precision(tx, record, approved_by)
        audit.add_event(tx, "precision.added", f"precision study approved by {approved_by}")


def precision_records(site: Site) -> tuple[dict[str, Any], ...]:
    """Return the precision studies, newest first."""
    with site.database.read() as tx:
        return calibrations.precision_records(tx)
