"""What differs between two results, as people read it: an amended report opens with it.

Both are results as they are stored (`report.table.as_json`), so that what is compared is what was
stated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tbsnode import text
from tbsnode.model import Change
from tbsnode.report import facts
from tbsnode.report.narrative_words import percent, signed
from tbsnode.tbs.bone_density import WITHOUT_HIP, Diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Name what differs.

    Parameters
    ----------
    before, after : mapping
        Two results, as `report.table.as_json` writes them.

    Returns
    -------
    tuple of Change
        The value first. Where only remarks differ, the codes of those that went and came.
    """
    found = tuple(_changes(before, after))
    if found:
        return found
    gone, come = _codes(before), _codes(after)
    if gone == come:
        return ()
    return (Change(what="findings", before=_list(gone - come), after=_list(come - gone)),)


def told(result: Mapping[str, Any]) -> dict[str, str]:
    """Return what a result states, by the words of `Change.what`; what it lacks is left out."""
    found = {what: shown(result) for what, shown in _SHOWN.items()}
    return {what: value for what, value in found.items() if value}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    pairs = {what: (shown(before), shown(after)) for what, shown in _SHOWN.items()}
    if before["tbs"] is not None or after["tbs"] is not None:
        del pairs["score"]  # two numbers for one thing would be one too many
    pairs["densities"] = _densities(before, after)
    pairs["regions"] = _regions(before, after)
    for what, (old, new) in pairs.items():
        if old != new:
            yield Change(what=what, before=old, after=new)


def _status(result: Mapping[str, Any]) -> str:
    reason = result["reason"]
    return str(result["status"]).replace("_", " ") + (f" ({reason['code']})" if reason else "")


def _tbs(result: Mapping[str, Any]) -> str:
    if result["tbs"] is None:
        return ""
    see = result.get("tbs_see")
    return f"{result['tbs']:.3f}" + (f" \N{PLUS-MINUS SIGN} {see:.3f}" if see is not None else "")


def _score(result: Mapping[str, Any]) -> str:
    return "" if result["score"] is None else f"{result['score']:.3f}"


def _category(result: Mapping[str, Any]) -> str:
    borderline = result.get("borderline") or ()
    if borderline:
        return " or ".join(_class(name) for name in borderline)
    return _class(result["category"]) if result["category"] else ""


def _class(name: str) -> str:
    return text.phrase(f"class_{name}")


def _levels(result: Mapping[str, Any]) -> str:
    return ", ".join(v["label"] for v in result["vertebrae"] if v["included"])


def _image(result: Mapping[str, Any]) -> str:
    return str(result["sop_instance_uid"] or "")


def _calibration(result: Mapping[str, Any]) -> str:
    return str(result["calibration"] or "")


def _clinical(result: Mapping[str, Any]) -> str:
    declared = dict(result.get("clinical") or {})
    declared.pop("densitometry", None)  # densities are compared site by site
    return "; ".join(_declared(declared))


def _bmd(result: Mapping[str, Any]) -> str:
    found = result.get("bmd_diagnosis")
    if not found:
        return ""
    said = text.phrase(f"diagnosis_{found['diagnosis']}")
    if found["diagnosis"] in (*WITHOUT_HIP, Diagnosis.NOT_AVAILABLE):
        return said
    key = "diagnosis_with_z" if found["uses_z_score"] else "diagnosis_with_t"
    site = text.phrase(f"site_{found['site']}")
    return text.phrase(key, diagnosis=said, score=signed(found["score"], 1), site=site)


def _densities(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, str]:
    """Write the densities of the sites that differ."""
    old, new = _sites(before), _sites(after)
    moved = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    was, now = (", ".join(f"{name} {each[name]}" for name in moved if name in each) for each in (old, new))
    return was, now


def _sites(result: Mapping[str, Any]) -> dict[str, str]:
    imported = (result.get("clinical") or {}).get("densitometry")
    sets = (result.get("densitometry"), *(result.get("other_densitometry") or ()), imported)
    found: dict[str, str] = {}
    for site in (site for each in sets if each for site in each["sites"]):
        name = f"{site['site']} {site['side']}".strip().replace("_", " ")
        bmd, numbers = site["bmd_g_cm2"], [("T-score", site["t_score"]), ("Z-score", site["z_score"])]
        said = [f"{bmd:.3f} g/cm2"] if bmd is not None else []
        said += [f"{kind} {signed(score, 1)}" for kind, score in numbers if score is not None]
        found.setdefault(name, " ".join(said))
    return {name: said for name, said in found.items() if said}


def _frax(result: Mapping[str, Any]) -> str:
    made = result.get("frax") or {}
    if not (made.get("major") and made.get("hip")):
        return ""
    major, hip = (percent(made[kind]["after_percent"]) for kind in ("major", "hip"))
    return f"major osteoporotic {major} %, hip {hip} %"


def _trend(result: Mapping[str, Any]) -> str:
    """Say the change since the last comparable examination; the raw slope is not for page 1."""
    course = result.get("follow_up") or {}
    prior = next((each for each in reversed(course.get("priors") or ()) if each["comparable"]), None)
    calibrated = result["tbs"] is not None and prior is not None and prior["tbs_difference"] is not None
    key, limit = ("tbs_difference", "tbs_lsc") if calibrated else ("difference", "lsc")
    if prior is None or prior[key] is None:
        return ""
    since = f"since {facts.date(prior['examined_on'])}"
    change = f"{signed(prior[key], 3)} {since}" if calibrated else since
    if course[limit] is None:
        return f"{change}: not interpreted"
    return f"{change}: {'exceeds' if abs(prior[key]) > course[limit] else 'does not exceed'} LSC"


def _z_score(result: Mapping[str, Any]) -> str:
    value = result.get("z_score")
    return "" if value is None else signed(value, 1)


def _percentile(result: Mapping[str, Any]) -> str:
    value = result.get("site_percentile")
    return "" if value is None else f"{value:.0f}"


def _declared(declared: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Write nested declarations as ``name: value``, without what was not declared."""
    for name, value in declared.items():
        label = f"{above} {name}".strip().replace("_", " ")
        if isinstance(value, dict):
            yield from _declared(value, label)
        elif isinstance(value, list):
            plain = [str(each).replace("_", " ") for each in value if not isinstance(each, dict)]
            nested = [each for each in value if isinstance(each, dict)]
            if plain:
                yield f"{label}: {', '.join(plain)}"
            for each in nested:
                yield from _declared(each, label)
        elif value not in (None, ""):
            yield f"{label}: {value}"


_SHOWN = {
    "status": _status,
    "tbs": _tbs,
    "category": _category,
    "score": _score,
    "levels": _levels,
    "image": _image,
    "calibration": _calibration,
    "bmd": _bmd,
    "z_score": _z_score,
    "percentile": _percentile,
    "trend": _trend,
    "frax": _frax,
    "clinical": _clinical,
}


def _regions(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, str]:
    """Name the levels whose outline differs, with their areas; of another image no outline is compared."""
    if before["image_sha256"] != after["image_sha256"]:
        return "", ""
    old, new = ({v["label"]: v for v in result["vertebrae"]} for result in (before, after))
    moved = [name for name in old if name in new and old[name]["region"] != new[name]["region"]]
    was, now = _areas(old, moved), _areas(new, moved)
    return was, now if was != now else now + (", outline moved" if moved else "")


def _areas(levels: Mapping[str, Any], labels: list[str]) -> str:
    areas = ((name, levels[name]["area_mm2"]) for name in labels)
    return ", ".join(f"{name} {area:.0f} mm2" if area is not None else name for name, area in areas)


def _codes(result: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(finding["code"] for finding in result["findings"])


def _list(codes: frozenset[str]) -> str:
    return ", ".join(sorted(codes))
