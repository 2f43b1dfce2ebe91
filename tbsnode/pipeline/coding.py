"""Which procedure code fits what was actually done, or why none does; the numbers alone.

It is off by default. One organization that computes and signs: 77089, which is global and takes no
modifier. Computed at one organization and signed at another: 77091 and 77092, each for its own. The two
never stand together. No code without a TBS, without a signature, after a withdrawal, for a simulation,
or at a site that declares no clearance. What it says is an aid; who bills decides.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tbsnode import text
from tbsnode.errors import ConfigError
from tbsnode.model import AnalysisStatus, CodingAdvice, ReviewAction
from tbsnode.pipeline.making import SIMULATED_STATION
from tbsnode.reasons import Code
from tbsnode.store import coding as stored

if TYPE_CHECKING:
    from tbsnode.model import Analysis, Review
    from tbsnode.pipeline.site import Policy, Site
    from tbsnode.store.coding import ReviewedStudy

GLOBAL, CALCULATION, INTERPRETATION = "77089", "77091", "77092"
COLUMNS = (
    "study_date",
    "accession_number",
    "patient_id",
    "study_instance_uid",
    "action",
    "reviewer",
    "organization",
    "reviewed_at",
    "version",
    "codes",
    "reason",
)
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would compute instead of show


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """What was done, as far as it decides a code.

    Attributes
    ----------
    scored, has_tbs, simulated : bool
        Whether there is a number, a calibrated one, and one of a patient.
    image_institution : str
        Institution Name of the image; empty where absent.
    action : ReviewAction or None
        The newest act of a reviewer; None before one.
    organization : str
        For whom that reviewer answers; empty where not configured: for the site.
    version : int
        Of the signature.
    """

    scored: bool
    has_tbs: bool
    simulated: bool
    image_institution: str = ""
    action: ReviewAction | None = None
    organization: str = ""
    version: int = 1


def advice(analysis: Analysis, review: Review | None, policy: Policy) -> CodingAdvice | None:
    """Advise on the code of a report.

    Parameters
    ----------
    analysis : Analysis
        The reported result.
    review : Review or None
        The act of a reviewer that the report carries; None before one.
    policy : Policy
        Of the site: whether the aid is on, its name and its declared clearance.

    Returns
    -------
    CodingAdvice or None
        None where the aid is off.
    """
    scanner = analysis.identity.scanner if analysis.identity else None
    performed = Performed(
        scored=analysis.status is AnalysisStatus.SCORED,
        has_tbs=analysis.tbs is not None,
        simulated=(scanner is not None and scanner.station_name == SIMULATED_STATION)
        or any(finding.code is Code.SIMULATED for finding in analysis.findings),
        image_institution=scanner.institution_name if scanner else "",
        action=review.action if review else None,
        organization=review.reviewer.organization if review else "",
        version=review.version if review else 1,
    )
    return judged(performed, policy)


def judged(performed: Performed, policy: Policy) -> CodingAdvice | None:
    """Advise on what was performed; None where the aid is off."""
    if not policy.coding:
        return None
    hindrance = _hindrance(performed, policy)
    if hindrance:
        return CodingAdvice(codes=(), why=text.phrase(f"coding_why_{hindrance}"))
    again = [text.phrase("coding_why_amended")] if performed.version > 1 else []
    if performed.organization and not _same(performed.organization, policy.institution):
        said = text.phrase("coding_why_apart", site=policy.institution, signer=performed.organization)
        return CodingAdvice(codes=(CALCULATION, INTERPRETATION), why=" ".join([said, *again]))
    said = text.phrase("coding_why_own", site=policy.institution)
    named = performed.image_institution
    doubt = [text.phrase("coding_why_elsewhere")] if named and not _same(named, policy.institution) else []
    return CodingAdvice(codes=(GLOBAL,), why=" ".join([said, *doubt, *again]))


def _hindrance(performed: Performed, policy: Policy) -> str:
    """Return what keeps from any code, the most final reason first; empty where nothing does."""
    hindrances = {
        "rejected": performed.action is ReviewAction.REJECT,
        "refused": not performed.scored,
        "no_tbs": not performed.has_tbs,
        "simulated": performed.simulated,
        "no_clearance": not policy.clearance.strip(),
        "unsigned": performed.action is None,
        "no_site": not policy.institution.strip(),
    }
    return next((name for name, holds in hindrances.items() if holds), "")


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


# ---- export -------------------------------------------------------------------------------------


def export(site: Site, *, since: float | None = None, until: float | None = None) -> str:
    """Return the reviewed studies of a range of time with their codes, as CSV.

    A study stands in it once, with its newest act: an amendment or a withdrawal is seen in the range of
    its own time. Of the patient only the ID stands there: a charge is made to a patient, and an accession
    number may be absent or shared; name and birth date are not needed for it.

    Parameters
    ----------
    site : Site
        Database and policy.
    since, until : float or None
        Reviewed at or after, before [seconds since the epoch].

    Returns
    -------
    str
        RFC 4180 with LF line ends; a header line and a line for each study, oldest act first.

    Raises
    ------
    ConfigError
        If the aid is off.
    """
    if not site.policy.coding:
        raise ConfigError(
            "The coding aid is off.", remedy="Administrator: set `enabled = true` under [coding]."
        )
    with site.database.read() as tx:
        found = stored.reviewed_studies(tx, since=since, until=until)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(each, site.policy) for each in found)
    return buffer.getvalue()


def as_json(advised: CodingAdvice | None) -> dict[str, Any] | None:
    """Return an advice as it is stored with the signed result."""
    return None if advised is None else {"codes": list(advised.codes), "why": advised.why}


def _row(reviewed: ReviewedStudy, policy: Policy) -> dict[str, str]:
    advised = _stated(reviewed, policy)
    date = reviewed.study_date
    cells = {
        "study_date": f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date,
        "accession_number": reviewed.accession_number,
        "patient_id": reviewed.patient_id,
        "study_instance_uid": reviewed.study_instance_uid,
        "action": reviewed.action.value,
        "reviewer": reviewed.reviewer_name,
        "organization": reviewed.organization or policy.institution,
        "reviewed_at": datetime.fromtimestamp(reviewed.at, UTC).isoformat(timespec="seconds"),
        "version": str(reviewed.version),
        "codes": " ".join(advised.codes),
        "reason": advised.why,
    }
    return {name: f"'{cell}" if cell.startswith(_FORMULA) else cell for name, cell in cells.items()}


def _stated(reviewed: ReviewedStudy, policy: Policy) -> CodingAdvice:
    """Return what the signed report states; where it states nothing, what fits, and that it does not."""
    if reviewed.stated is not None and reviewed.action is not ReviewAction.REJECT:
        return CodingAdvice(codes=tuple(reviewed.stated["codes"]), why=reviewed.stated["why"])
    identity = reviewed.identity
    performed = Performed(
        scored=reviewed.status is AnalysisStatus.SCORED,
        has_tbs=reviewed.tbs is not None,
        simulated=reviewed.simulated
        or (identity is not None and identity.scanner.station_name == SIMULATED_STATION),
        image_institution=identity.scanner.institution_name if identity else "",
        action=reviewed.action,
        organization=reviewed.organization,
        version=reviewed.version,
    )
    fitting = judged(performed, policy)
    assert fitting is not None, "the export asks if the aid is on"
    if not fitting.codes:
        return fitting
    return CodingAdvice(codes=fitting.codes, why=f"{fitting.why} {text.phrase('coding_why_now')}")
