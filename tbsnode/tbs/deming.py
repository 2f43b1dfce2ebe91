"""Regression where both quantities have errors, and the tests of what it leaves.

W. E. Deming, Statistical Adjustment of Data, 1943; standard errors by jackknife: K. Linnet,
Statistics in Medicine 9(12), 1463-1473, 1990, doi:10.1002/sim.4780091210. What two methods
disagree on beyond their repeatability counts as error of neither, which steepens the line a little:
R. J. Carroll and D. Ruppert, American Statistician 50(1), 1-6, 1996,
doi:10.1080/00031305.1996.10473533. The error of estimate, made by leaving pairs out, contains that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Vector = NDArray[np.float64]
_ROUNDS = 200
_SETTLED = 1e-12
_MOST_LEVERAGE = 0.9  # of one point on its own fitted value


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight line with the slopes of further covariates.

    Attributes
    ----------
    intercept, slope : float
        y = intercept + slope x + extra . z, z centered.
    extra : tuple of float
        One slope a covariate.
    """

    intercept: float
    slope: float
    extra: tuple[float, ...] = ()

    def at(self, x: Vector, z: Vector) -> Vector:
        """Return the line's value at each point; `z` has one column a covariate."""
        return np.asarray(self.intercept + self.slope * x + z @ np.asarray(self.extra, dtype=np.float64))


def deming(x: Vector, y: Vector, ratio: float) -> tuple[float, float]:
    """Fit y = intercept + slope x with errors in both.

    Parameters
    ----------
    x, y : ndarray of shape (N,)
        Paired values.
    ratio : float
        Variance of the errors of y over that of x.

    Returns
    -------
    tuple of float
        Intercept and slope; a slope of nan where the values do not vary together.

    Examples
    --------
    >>> deming(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 7.0]), 1.0)
    (1.0, 2.0)
    """
    dx, dy = x - x.mean(), y - y.mean()
    sxx, syy, sxy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if sxy == 0.0:
        return float("nan"), float("nan")
    difference = syy - ratio * sxx
    slope = (difference + np.sqrt(difference**2 + 4.0 * ratio * sxy**2)) / (2.0 * sxy)
    return float(y.mean() - slope * x.mean()), float(slope)


def fit(x: Vector, y: Vector, z: Vector, ratio: float) -> Line:
    """Fit a Deming line and the slopes of centered covariates together.

    The covariates explain y without error of their own; line and covariates are fitted in turn until
    nothing moves.
    """
    extra: Vector = np.zeros(z.shape[1])
    intercept, slope = deming(x, y, ratio)
    if not z.shape[1]:
        return Line(intercept=intercept, slope=slope)
    for _ in range(_ROUNDS):
        new, *_ = np.linalg.lstsq(z, y - intercept - slope * x, rcond=None)
        intercept, slope = deming(x, y - z @ new, ratio)
        moved, extra = float(np.max(np.abs(new - extra))), np.asarray(new, dtype=np.float64)
        if not np.isfinite(slope) or moved < _SETTLED:
            break
    return Line(intercept=intercept, slope=slope, extra=tuple(float(each) for each in extra))


def left_out(x: Vector, y: Vector, z: Vector, ratio: float) -> tuple[Vector, list[Line]]:
    """Predict each pair from all others.

    Returns
    -------
    tuple of (ndarray of shape (N,), list of Line)
        Predictions, and the line without each pair.
    """
    keep = np.arange(x.size)
    lines = [fit(x[keep != i], y[keep != i], z[keep != i], ratio) for i in range(x.size)]
    predicted = np.array([line.at(x[i : i + 1], z[i : i + 1])[0] for i, line in enumerate(lines)])
    return predicted, lines


def jackknife_interval(whole: float, without: Vector, level: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of a parameter from its values without each pair."""
    number = without.size
    pseudo = number * whole - (number - 1) * without
    half = special.stdtrit(number - 1, 0.5 + level / 2) * pseudo.std(ddof=1) / np.sqrt(number)
    return float(pseudo.mean() - half), float(pseudo.mean() + half)


def p_values(residual: Vector, z: Vector) -> Vector:
    """Test if residuals depend on covariates: one p-value a column, all columns fitted together.

    The errors of the slopes are those of J. G. MacKinnon and H. White (HC3), Journal of Econometrics
    29(3), 305-325, 1985, doi:10.1016/0304-4076(85)90158-7: the spread may grow with a covariate, as it
    does with body mass. Where one point alone decides a slope they mean nothing, and the ordinary
    errors are used.

    Parameters
    ----------
    residual : ndarray of shape (N,)
        What the line leaves.
    z : ndarray of shape (N, K)
        Covariates; a constant is added.

    Returns
    -------
    ndarray of shape (K,)
        Two-sided; 1 for a covariate that does not vary.
    """
    varies = np.ptp(z, axis=0) > 0
    result = np.ones(z.shape[1])
    if not varies.any():
        return result
    spread = z[:, varies].std(axis=0)
    design = np.column_stack([np.ones(residual.size), (z[:, varies] - z[:, varies].mean(axis=0)) / spread])
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ design.T @ residual
    left = residual - design @ beta
    free = max(residual.size - int(np.linalg.matrix_rank(design)), 1)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    weight = np.full(residual.size, float(left @ left) / free)
    if leverage.max() < _MOST_LEVERAGE:
        weight = (left / (1.0 - leverage)) ** 2
    error = np.sqrt(np.maximum(np.diag(inverse @ (design.T * weight) @ design @ inverse), 1e-300))
    result[varies] = 2.0 * special.stdtr(free, -np.abs(beta / error)[1:])
    return result
