"""What differs between two results, as people read it: an amended report opens with it.

Both are results as they are stored (`report.table.as_json`), so that what is compared is what was
stated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tbsnode import text
from tbsnode.model import Change

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
    return "; ".join(_declared(result.get("clinical") or {}))


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
