"""Earlier examinations from the PACS: looked for by Patient ID, judged, and moved to our own receiver.

What is moved arrives like everything else (`intake`) and is known as fetched. Only densitometry is
moved, only of studies that the archive's answer gives to the same patient, and only what is not here
yet: looking again moves nothing.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbsnode.dicom import identity as dicom_identity
from tbsnode.dicom import own_report
from tbsnode.dicom.part10 import Header, tag_of
from tbsnode.errors import AssociationRejected, PeerError, PeerUnreachable
from tbsnode.model import Claim, Demographics
from tbsnode.net import query
from tbsnode.pipeline import same_patient
from tbsnode.pipeline.study_dates import is_earlier
from tbsnode.store import priors as store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tbsnode.model import InstanceIdentity
    from tbsnode.pipeline.site import Site

log = logging.getLogger(__name__)

# densitometers file their images as all of these; a computed tomograph has thousands of instances
_PICTURES = ("BMD", "CR", "DX", "OT", "RG")
_BESIDE_THEM = ("SR", "KO")  # densities, our own reports, and what withdraws them
_MOST_INSTANCES = 100  # of one series of a densitometer
_DENSITOMETRY = re.compile(
    r"\bDE?XA\b|DENSIT|\bBMD\b|ABSORPTIO|\bBONE MINERAL|KNOCHENDICHTE|OSTEODENS|DENSITOM", re.IGNORECASE
)
# an archive answers with what it indexes; these two are often not
_NOT_RETURNED = (same_patient.ISSUER, same_patient.SEX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of looking at the PACS.

    Attributes
    ----------
    differences : tuple of str
        Attributes in which studies under the same Patient ID differ; those were not moved.
    failure : str
        Why not everything could be looked at, in a few words without a name or an address; empty
        where all is well.
    """

    differences: tuple[str, ...] = ()
    failure: str = ""


def fetch(site: Site, identity: InstanceIdentity) -> Fetched:
    """Move the earlier densitometry of a patient here, as far as it is not here.

    Parameters
    ----------
    site : Site
        Whose policy names the PACS, how many studies count, and how long this may take.
    identity : InstanceIdentity
        Of the examination that is being reported; with a Patient ID.

    Returns
    -------
    Fetched
        When it returns, what was moved is archived and in the catalogue.
    """
    peer = site.peer(site.policy.priors_from)
    if peer is None:
        return Fetched(failure="No such destination is configured")
    search = _Search(site, identity)
    try:
        with query.asking(peer, timeout_s=site.policy.priors_timeout_s) as archive:
            search.run(archive)
    except PeerError as error:
        search.failed(error)
    return Fetched(differences=tuple(dict.fromkeys(search.differences)), failure=search.failure)


class _Search:
    """One look at the PACS, with what was found until it ended."""

    def __init__(self, site: Site, identity: InstanceIdentity) -> None:
        self.site = site
        self.ours = identity
        self.differences: list[str] = []
        self.failure = ""

    def failed(self, error: PeerError) -> None:
        """Keep the first failure, and tell the administrator all of them."""
        self.failure = self.failure or _why(error)
        log.warning(
            "earlier examinations: %s",
            error,
            extra={"action": "priors.not_fetched", "study_instance_uid": self.ours.study_instance_uid},
        )

    def run(self, archive: query.Archive) -> None:
        """Look at the patient's earlier studies, newest first, until enough of them are densitometry."""
        counted = 0
        for study in self._earlier(archive):
            if counted >= self.site.policy.priors_most:
                return
            with self.site.database.read() as tx:
                if store.is_sent(tx, study.study_instance_uid):
                    counted += 1
                    continue
            counted += self._move(archive, study)

    def _earlier(self, archive: query.Archive) -> Iterator[query.ArchivedStudy]:
        """Yield the earlier studies of the very same patient, newest first; note what differs in others."""
        ours = self.ours
        now = ours.study_date, ours.study_time
        found = archive.studies(ours.demographics.patient_id)
        for study in sorted(found, key=lambda each: (each.study_date, each.study_time), reverse=True):
            here = study.study_instance_uid == ours.study_instance_uid
            if here or not is_earlier((study.study_date, study.study_time), now):
                continue
            if study.modalities and not set(study.modalities) & {*_PICTURES, "SR"}:
                continue
            theirs = Demographics(issuer=study.issuer, birth_date=study.birth_date, sex=study.sex)
            differ = same_patient.differences(ours.demographics, theirs, may_lack=_NOT_RETURNED)
            self.differences += differ
            if not differ:
                yield study

    def _move(self, archive: query.Archive, study: query.ArchivedStudy) -> bool:
        """Move what may be densitometry of a study and is not here; tell whether there was any."""
        found = archive.series(study.study_instance_uid)
        pictures = [each for each in found if _may_show_a_spine(self.ours, study, each)]
        beside = [each for each in found if each.modality in _BESIDE_THEM]
        if not pictures:
            beside = beside if any(_is_own_report(each) for each in beside) else []
        for series in (*pictures, *beside):
            if not self._is_here(study, series):
                self._move_series(archive, study, series)
        return bool(pictures or beside)

    def _move_series(
        self, archive: query.Archive, study: query.ArchivedStudy, series: query.ArchivedSeries
    ) -> None:
        try:
            archive.move(study.study_instance_uid, series.series_instance_uid)
        except query.QueryFailed as error:
            self.failed(error)  # of one series; the others may come
            return
        if not self._is_here(study, series):
            self.failed(PeerError("The retrieval succeeded, and what was sent did not arrive at this node."))

    def _is_here(self, study: query.ArchivedStudy, series: query.ArchivedSeries) -> bool:
        with self.site.database.read() as tx:
            here = store.instances_of_series(tx, study.study_instance_uid, series.series_instance_uid)
        return here >= (series.instances or 1)


def _may_show_a_spine(
    ours: InstanceIdentity, study: query.ArchivedStudy, series: query.ArchivedSeries
) -> bool:
    """Tell whether a series may hold an absorptiometry of the spine.

    A plain radiograph of the spine is no such thing, and would be measured as one: it takes more than
    a lumbar spine in a description. Only what stands for a whole series speaks against it: what an
    archive says of the body part is that of one of its instances.
    """
    if series.modality not in _PICTURES or (series.instances or 0) > _MOST_INSTANCES:
        return False
    if series.description and _claim(series.description) is Claim.OTHER:
        return False
    if series.modality == "BMD" or _DENSITOMETRY.search(f"{study.description} {series.description}"):
        return True
    described = study.description, series.description
    if any(described) and described == (ours.study_description, ours.series_description):
        return True
    if series.station_name and series.station_name == ours.scanner.station_name:
        return True
    told = _claim(f"{series.description} {series.body_part_examined}")
    return series.modality == "OT" and told is not Claim.OTHER


def _claim(text: str) -> Claim:
    told = Header({tag_of("SeriesDescription"): text.encode("ascii", "replace")})
    return dicom_identity.claim_of(told)


def _is_own_report(series: query.ArchivedSeries) -> bool:
    return series.modality == "SR" and series.description == own_report.SERIES_DESCRIPTION


def _why(error: PeerError) -> str:
    """Say in a few words what failed: it stands in a report, so no name and no address."""
    if isinstance(error, query.OutOfTime):
        return "The PACS did not finish in time"
    if isinstance(error, query.QueryFailed):
        return f"At the PACS {error.why}"
    if isinstance(error, AssociationRejected):
        return "The PACS rejected the association"
    if isinstance(error, query.AssociationBroken):
        return "The PACS broke off"
    if isinstance(error, PeerUnreachable):
        return "The PACS cannot be reached"
    return "What the PACS sent did not arrive here"
