"""Pixels under drawn lines, labels and captions: they show no patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def filled(image: NDArray[np.float64], blocked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Put the nearest pixel that shows the patient in place of each one that does not.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        Gray levels [a.u.].
    blocked : ndarray of shape (M, N)
        True where something is drawn over the patient.

    Returns
    -------
    ndarray of shape (M, N)
        For searching only; the filled pixels are in no scored region.

    Examples
    --------
    >>> filled(np.array([[1.0, 9.0, 3.0, 3.0]]), np.array([[False, True, False, False]])).tolist()
    [[1.0, 1.0, 3.0, 3.0]]
    """
    if blocked.all() or not blocked.any():
        return image
    nearest = ndimage.distance_transform_edt(blocked, return_distances=False, return_indices=True)
    return np.asarray(image[tuple(nearest)])
