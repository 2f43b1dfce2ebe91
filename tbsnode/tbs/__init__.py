"""The number: arrays in, numbers with their conditions out.

``from tbsnode import tbs`` is all that a notebook needs; every name below has a docstring with an example.

A picture of a spine
    `measure` finds L1 to L4 on a `Picture` and scores them: a `SpineMeasurement` of each `Vertebra`.
    `scanned_field`, `segment` and `label` are its steps. `Parameters` holds everything that changes the
    number. `patient_findings` judges what is known of the patient.
Any region of any image
    `score_region` scores it. `experimental_variogram` gives the `Variogram`, `texture_slope` and
    `unweighted_slope` the slopes of one. `polygon_mask` draws a region's outline, `estimate_noise` tells
    how much of the texture is noise.
From texture slope to TBS
    `fit_paired` makes a `Calibration` from each `Pair` of slope and licensed value, `fit_transfer` from
    each `Twin`, `fit_reference` from each `Examination` of own adults (`counted_once`), `check_extension`
    judges a change of software. `Approval` and `ScannerKey` say who vouches for it and what it holds for,
    `estimator_of` which number it was made for, `Person` whom it is put to. `choose_calibration` and
    `apply_calibration` use it, `calibration_to_json` and `calibration_from_json` keep it. `deming_line` is
    the line alone.
What may be said about a TBS
    `interpret` names the class of a `Value` of a `Patient` by a `threshold_set` and places it on a
    `reference_curve`. `adjust_frax` adjusts `SuppliedFrax` probabilities.
Again and again
    `fit_precision` gives the precision of repeated `Scan` objects, `compare_examinations` the changes
    between each `TrendExamination`.
For the eye
    `local_slopes` maps where inside a region the texture differs; the mean of a map is no score.

Names load their module when first used, so that importing the parameters alone stays light. A few are
called otherwise in their module, where the module's name says the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers; at run time the table below
    from tbsnode.tbs.calibration import Calibration, Person, ScannerKey, estimator_of
    from tbsnode.tbs.calibration import apply as apply_calibration
    from tbsnode.tbs.calibration import to_json as calibration_to_json
    from tbsnode.tbs.calibration_choice import choose as choose_calibration
    from tbsnode.tbs.calibration_fit import Approval, fit_paired
    from tbsnode.tbs.calibration_json import from_json as calibration_from_json
    from tbsnode.tbs.calibration_pairs import Examination, Pair, counted_once
    from tbsnode.tbs.calibration_transfer import Twin, check_extension, fit_reference, fit_transfer
    from tbsnode.tbs.deming import deming as deming_line
    from tbsnode.tbs.field import scanned_field
    from tbsnode.tbs.frax import Supplied as SuppliedFrax
    from tbsnode.tbs.frax import adjust as adjust_frax
    from tbsnode.tbs.interpretation import Patient, Value, interpret
    from tbsnode.tbs.labeling import label
    from tbsnode.tbs.noise import estimate_noise
    from tbsnode.tbs.parameters import Parameters
    from tbsnode.tbs.polygon import polygon_mask
    from tbsnode.tbs.precision import Scan
    from tbsnode.tbs.precision import fit as fit_precision
    from tbsnode.tbs.quality import patient_findings
    from tbsnode.tbs.reference import reference_curve, threshold_set
    from tbsnode.tbs.result import SpineMeasurement, Vertebra
    from tbsnode.tbs.score import score_region, texture_slope, unweighted_slope
    from tbsnode.tbs.segmentation import segment
    from tbsnode.tbs.spine import Picture, measure
    from tbsnode.tbs.texture_map import local_slopes
    from tbsnode.tbs.trend import Examination as TrendExamination
    from tbsnode.tbs.trend import compare as compare_examinations
    from tbsnode.tbs.variogram import Variogram, experimental_variogram

_HOME = {  # name here: module, and name there where it is another
    "Approval": "calibration_fit",
    "Calibration": "calibration",
    "Examination": "calibration_pairs",
    "Pair": "calibration_pairs",
    "Parameters": "parameters",
    "Patient": "interpretation",
    "Person": "calibration",
    "Picture": "spine",
    "Scan": "precision",
    "ScannerKey": "calibration",
    "SpineMeasurement": "result",
    "SuppliedFrax": "frax:Supplied",
    "TrendExamination": "trend:Examination",
    "Twin": "calibration_transfer",
    "Value": "interpretation",
    "Variogram": "variogram",
    "Vertebra": "result",
    "adjust_frax": "frax:adjust",
    "apply_calibration": "calibration:apply",
    "calibration_from_json": "calibration_json:from_json",
    "calibration_to_json": "calibration:to_json",
    "check_extension": "calibration_transfer",
    "choose_calibration": "calibration_choice:choose",
    "compare_examinations": "trend:compare",
    "counted_once": "calibration_pairs",
    "deming_line": "deming:deming",
    "estimate_noise": "noise",
    "estimator_of": "calibration",
    "experimental_variogram": "variogram",
    "fit_paired": "calibration_fit",
    "fit_precision": "precision:fit",
    "fit_reference": "calibration_transfer",
    "fit_transfer": "calibration_transfer",
    "interpret": "interpretation",
    "label": "labeling",
    "local_slopes": "texture_map",
    "measure": "spine",
    "patient_findings": "quality",
    "polygon_mask": "polygon",
    "reference_curve": "reference",
    "scanned_field": "field",
    "score_region": "score",
    "segment": "segmentation",
    "texture_slope": "score",
    "threshold_set": "reference",
    "unweighted_slope": "score",
}

__all__ = [
    "Approval",
    "Calibration",
    "Examination",
    "Pair",
    "Parameters",
    "Patient",
    "Person",
    "Picture",
    "Scan",
    "ScannerKey",
    "SpineMeasurement",
    "SuppliedFrax",
    "TrendExamination",
    "Twin",
    "Value",
    "Variogram",
    "Vertebra",
    "adjust_frax",
    "apply_calibration",
    "calibration_from_json",
    "calibration_to_json",
    "check_extension",
    "choose_calibration",
    "compare_examinations",
    "counted_once",
    "deming_line",
    "estimate_noise",
    "estimator_of",
    "experimental_variogram",
    "fit_paired",
    "fit_precision",
    "fit_reference",
    "fit_transfer",
    "interpret",
    "label",
    "local_slopes",
    "measure",
    "patient_findings",
    "polygon_mask",
    "reference_curve",
    "scanned_field",
    "score_region",
    "segment",
    "texture_slope",
    "threshold_set",
    "unweighted_slope",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _HOME[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), there or name)


def __dir__() -> list[str]:
    return sorted(_HOME)
