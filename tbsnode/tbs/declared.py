"""What a header declares of the patient's position and body, held against a picture that was measured.

The picture is the judge: what it shows is measured, and never turned because a header says so. Where
the header contradicts it, that is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from tbsnode.reasons import Code, Finding


def position_findings(patient_orientation: Sequence[str]) -> tuple[Finding, ...]:
    """Judge the stated directions of rows and columns.

    Parameters
    ----------
    patient_orientation : sequence of str
        Patient Orientation: where rows run to (to the picture's right), then columns (down); each one
        letter or more, the main direction first (PS3.3 C.7.6.1.1.1); L, F from the front.

    Returns
    -------
    tuple of Finding
        `WRONG_VIEW` where rows run to front or back; `MIRRORED` where they run to the patient's right,
        or columns to the head, though the picture shows the head at the top.

    Examples
    --------
    >>> position_findings(("L", "F"))
    ()
    >>> [finding.code.value for finding in position_findings(("R", "F"))]
    ['MIRRORED']
    """
    if len(patient_orientation) != 2:
        return ()
    rows, columns = (direction[:1].upper() for direction in patient_orientation)
    detail = (("detail", "\\".join(patient_orientation)),)
    if rows in ("A", "P"):
        return (Finding(Code.WRONG_VIEW, values=detail),)
    if rows == "R" or columns == "H":
        return (Finding(Code.MIRRORED, values=detail),)
    return ()


def body_findings(declarations: Sequence[str]) -> tuple[Finding, ...]:
    """Refuse where the header declares what absorbs X-rays besides bone, or a pregnancy.

    Parameters
    ----------
    declarations : sequence of str
        What is declared, in words; empty where nothing is.

    Returns
    -------
    tuple of Finding
        `RECENT_CONTRAST`, or nothing. The survey NHANES scans nobody within 7 days of barium, within 3
        days of a nuclear medicine examination, or in pregnancy; headers give no day, so any counts.

    Examples
    --------
    >>> [finding.values for finding in body_findings(["contrast medium", "pregnancy"])]
    [(('detail', 'contrast medium, pregnancy'),)]
    """
    if not declarations:
        return ()
    return (Finding(Code.RECENT_CONTRAST, values=(("detail", ", ".join(declarations)),)),)


def part_findings(other_part: str) -> tuple[Finding, ...]:
    """Doubt a picture of a spine whose header names another part of the body.

    Parameters
    ----------
    other_part : str
        The part that is named; empty where none is, or the lumbar spine.

    Returns
    -------
    tuple of Finding
        `OTHER_BODY_PART`, or nothing. It is no refusal: densitometers fill the attribute for a whole
        series, and the picture was found to be a spine. But one of the two is wrong, and it may be the
        patient to whom the picture was filed.

    Examples
    --------
    >>> [finding.code.value for finding in part_findings("HIP")]
    ['OTHER_BODY_PART']
    """
    return (Finding(Code.OTHER_BODY_PART, values=(("detail", other_part),)),) if other_part else ()
