"""The demonstration's calibration: simulated pairs through the real fit into the real database.

The scanner of the demonstration gets what an administrator would give a real one with
``tbsnode calibration fit``. Only the pairs are played: `phantom.population` says with which line and
which errors. Whatever rests on it is marked SIMULATED.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tbsnode.errors import CalibrationError
from tbsnode.pipeline.study_dates import local_day

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from tbsnode.model import Analysis
    from tbsnode.pipeline.site import Site
    from tbsnode.tbs.calibration import Calibration
    from tbsnode.tbs.calibration_fit import Fit, Pair

PAIRS = 80
APPROVED_BY = "SIMULATED by tbsnode demo"
LICENSED = "SIMULATED values, no licensed software"
_SEED = 1
_SPREAD = 0.25  # pictures of the simulated pairs look like the scanner's own, give or take so much


def install(site: Site, image: Path) -> Calibration:
    """Fit a simulated calibration for the scanner of an image and put it into use.

    Parameters
    ----------
    site : Site
        The demonstration's.
    image : Path
        One examination of the scanner: it tells which scanner, and how its pictures look.

    Returns
    -------
    Calibration
        Of kind ``paired``, marked as simulated.

    Raises
    ------
    CalibrationError
        If the image gives no score, or the fit is refused.
    """
    from tbsnode.pipeline import calibrate
    from tbsnode.pipeline.analyze import analyze_file
    from tbsnode.pipeline.assemble import settings_of

    today = local_day(time.time())
    found = analyze_file(image, settings_of(site, today))[0].analysis
    if found.score is None:
        raise CalibrationError("The simulated scanner's image gives no score.", remedy="Report this fault.")
    fitted = fit(found, today)
    if fitted.calibration is None:
        codes = ", ".join(refusal.code.value for refusal in fitted.refusals)
        raise CalibrationError(f"The simulated pairs are refused: {codes}.", remedy="Report this fault.")
    calibrate.store(site, fitted.calibration, calibrate.details_of(fitted, ()))
    return fitted.calibration


def fit(examined: Analysis, today: date) -> Fit:
    """Return what the real fit makes of simulated pairs of the scanner that made an examination."""
    from tbsnode.pipeline.interpret import scanner_key
    from tbsnode.tbs.calibration import estimator_of
    from tbsnode.tbs.calibration_fit import Approval, fit_paired

    approval = Approval(
        approved_by=APPROVED_BY,
        approved_on=today,
        estimator=estimator_of(examined.parameters),
        reference_software=LICENSED,
        simulated=True,
    )
    return fit_paired(pairs_like(examined), scanner_key(examined), approval)


def pairs_like(examined: Analysis) -> Sequence[Pair]:
    """Return simulated pairs whose pictures look like an examination's, more or less."""
    from tbsnode.model import ImageStatistics
    from tbsnode.phantom import population
    from tbsnode.tbs.calibration_fit import Pair

    own = examined.statistics
    assert own is not None
    made = []
    for number, adult in enumerate(population.adults(PAIRS, _SEED)):
        off = _SPREAD * (2.0 * (number % 11) / 10.0 - 1.0)
        statistics = ImageStatistics(
            gray_levels=round(own.gray_levels * (1.0 + off)),
            saturated_fraction=max(0.0, own.saturated_fraction * (1.0 + off)),
            short_lag_noise=own.short_lag_noise * (1.0 + off),
            fit_r2=1.0 - (1.0 - own.fit_r2) * (1.0 + off),
        )
        made.append(
            Pair(
                scan=f"SIMULATED-{number + 1}",
                score=adult.score,
                tbs=adult.tbs,
                bmi=adult.bmi,
                age_years=adult.age_years,
                sex=adult.sex,
                statistics=statistics,
                standard_error=population.Relation().score_sd,
            )
        )
    return made
