"""Densities as the scanner or an import states them, each region with its source.

A vertebra's stand in its own group and the spine's in the summary; every other region is a group of its
own (TID 1501), because a hip's T-score is no observation of the lumbar spine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tbsnode.dicom import codes, content, sop_classes, uids
from tbsnode.dicom import codes_clinical as clinical
from tbsnode.dicom.codes import Concept
from tbsnode.dicom.codes_clinical import Density
from tbsnode.dicom.content import CONCEPT_MODIFIER, OBSERVATION_CONTEXT, PROPERTIES, Item
from tbsnode.model import Analysis, Reference, Report, ScannerResults, SourcedSite

SPINE = "L1-L4"

# site -> finding site and concepts; vertebrae and sums of them apart
_SITES: dict[str, tuple[Concept, Density]] = {
    SPINE: (codes.LUMBAR_SPINE, clinical.SPINE_DENSITY),
    "total_hip": (clinical.HIP, clinical.HIP_DENSITY),
    "femoral_neck": (clinical.FEMUR, clinical.FEMUR_DENSITY),
    "one_third_radius": (clinical.RADIUS, clinical.FOREARM_DENSITY),
}


def of_site(analysis: Analysis, site: str) -> SourcedSite | None:
    """Return the density of an unpaired site, None where there is none."""
    return next((each for each in analysis.bone_densities if each.result.site == site), None)


def apart(report: Report, encodings: Sequence[str]) -> Iterator[Item]:
    """Yield a group for every region that has no group of its own yet."""
    measured = {vertebra.label for vertebra in report.analysis.vertebrae}
    for each in report.analysis.bone_densities:
        if each.result.site != SPINE and each.result.site not in measured:
            yield content.container(codes.MEASUREMENT_GROUP, _group(report, each, encodings), template="1501")


def _group(report: Report, each: SourcedSite, encodings: Sequence[str]) -> Iterator[Item]:
    result = each.result
    name = " ".join(filter(None, ("BMD", result.side, result.site.replace("_", " "))))
    study = report.source.study_instance_uid
    yield content.text(codes.TRACKING_IDENTIFIER, name, OBSERVATION_CONTEXT)
    yield content.uid_reference(codes.TRACKING_UID, uids.tracking_uid(study, name), OBSERVATION_CONTEXT)
    yield content.code(codes.FINDING, codes.BONE)
    side = codes.SIDES.get(result.side)
    modifier = [content.code(codes.LATERALITY, side, CONCEPT_MODIFIER)] if side else []
    place, concepts = _site(result.site)
    yield content.code(codes.FINDING_SITE, place, CONCEPT_MODIFIER, children=modifier)
    yield from items(report, each, concepts, encodings)
    if result.site in clinical.BMD_REGIONS:
        yield content.code(clinical.BMD_REGION, clinical.BMD_REGIONS[result.site])
    if len(levels := _levels(result.site)) > 1:
        yield from (content.code(clinical.BMD_LEVEL, codes.VERTEBRAE[level]) for level in levels)


def _site(site: str) -> tuple[Concept, Density]:
    if site in _SITES:
        return _SITES[site]
    if site in codes.VERTEBRAE:
        return codes.VERTEBRAE[site], clinical.REGION_DENSITY
    place = codes.LUMBAR_SPINE if _levels(site) else codes.BONE
    return place, clinical.REGION_DENSITY


def _levels(site: str) -> tuple[str, ...]:
    """Return the vertebrae that a name such as ``"L2-L4"`` spans; none for anything else."""
    first, dash, last = site.partition("-")
    names = tuple(codes.VERTEBRAE)
    if first not in names or (dash and last not in names):
        return ()
    return names[names.index(first) : names.index(last or first) + 1]


def items(report: Report, each: SourcedSite, concepts: Density, encodings: Sequence[str]) -> Iterator[Item]:
    """Yield the numbers of a region and where they come from.

    Parameters
    ----------
    report : Report
        Names the study and the reported image.
    each : SourcedSite
        The region's result.
    concepts : Density
        What density and scores are called.
    encodings : sequence of str
        Of the document; a reference population is named in the scanner's language.
    """
    result, results = each.result, each.results
    reference = results.reference if results is not None else ""
    named = content.words(codes.POPULATION, reference, encodings, PROPERTIES)
    population = [named] if reference else []
    for concept, value, units, children in (
        (concepts.bmd, result.bmd_g_cm2, codes.GRAMS_PER_SQUARE_CENTIMETER, []),
        (concepts.t_score, result.t_score, codes.NO_UNITS, population),
        (concepts.z_score, result.z_score, codes.NO_UNITS, population),
        (clinical.BMD_AREA, result.area_cm2, codes.SQUARE_CENTIMETERS, []),
        (clinical.BMD_CONTENT, result.bmc_g, codes.GRAMS, []),
        (clinical.BMD_HEIGHT, result.height_mm, codes.MILLIMETERS, []),
    ):
        if value is not None:
            yield content.number(concept, value, units, children)
    if each.source in clinical.BMD_SOURCES:
        yield content.code(clinical.BMD_SOURCE, clinical.BMD_SOURCES[each.source])
    if results is not None and results.sop_instance_uid:
        yield _origin(report, results)


def _origin(report: Report, results: ScannerResults) -> Item:
    """Refer to the instance that states the numbers, as far as it is known."""
    found = reference_of(report, results)
    if found is None:
        return content.uid_reference(clinical.BMD_SOURCE_UID, results.sop_instance_uid)
    if sop_classes.is_image(found.sop_class_uid):
        return content.image(found, None, concept=clinical.BMD_SOURCE_UID)
    return content.composite(found, concept=clinical.BMD_SOURCE_UID)


def reference_of(report: Report, results: ScannerResults) -> Reference | None:
    """Return a reference to the instance that states results, None where its class is not known."""
    if results.sop_instance_uid == report.source.sop_instance_uid:
        return report.source
    if not (results.sop_class_uid and results.series_instance_uid):
        return None
    return Reference(
        sop_class_uid=results.sop_class_uid,
        sop_instance_uid=results.sop_instance_uid,
        series_instance_uid=results.series_instance_uid,
        study_instance_uid=report.source.study_instance_uid,
    )


def references(report: Report) -> tuple[Reference, ...]:
    """Return the instances that densities refer to, each once: they are evidence."""
    sets: Iterable[ScannerResults | None] = (each.results for each in report.analysis.bone_densities)
    found = (reference_of(report, results) for results in sets if results is not None)
    return tuple(dict.fromkeys(reference for reference in found if reference is not None))


def written(analysis: Analysis) -> Iterator[str]:
    """Yield every word that is not ours, for the choice of a character set."""
    for each in analysis.bone_densities:
        if each.results is not None:
            yield each.results.reference


def diagnosis(analysis: Analysis) -> Iterator[Item]:
    """Yield what the lowest score says, coded, with the site and the scale it rests on."""
    said = analysis.bmd_diagnosis
    if said is None:
        return
    yield content.code(clinical.BMD_DIAGNOSIS, clinical.DIAGNOSES[said.diagnosis])
    if said.site in clinical.BMD_REGIONS:
        yield content.code(clinical.BMD_DIAGNOSIS_SITE, clinical.BMD_REGIONS[said.site])
    if said.score is not None:
        yield content.code(clinical.BMD_DIAGNOSIS_SCALE, clinical.BMD_SCALES[said.uses_z_score])
