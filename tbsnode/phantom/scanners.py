"""What a densitometer stores of a drawing: sampling, sharpness, noise, gray levels, padding.

Three samplings, named by what they store. None reproduces a vendor's processing; spacing, number of
gray levels, padding, clipped and saturated fractions and the correlation of the noise are those of
pictures seen in the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from tbsnode.phantom.drawing import Drawing

Array = NDArray[np.float64]

METAL_FROM = 4.0  # [g/cm2]; above, a pixel shows metal and does not move the display window
COUNTS_PER_DENSITY = 10_000.0  # of linear pixels
COUNTS_AT_ZERO = 2_000.0
# 0, 1, 3, 5 ... 249, 252: the 127 gray levels of a 7-bit display copy in 8 bits.
SEVEN_BIT_GRAYS = np.concatenate([[0], np.arange(1, 250, 2), [252]]).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """A densitometer's image export.

    Attributes
    ----------
    name : str
        What it stores.
    pixel_spacing_mm : (float, float)
        Distance of rows and of columns [mm].
    width_mm : float or None
        Widest field [mm]; None: as drawn.
    sharpness_mm : float
        Standard deviation of the point spread function [mm].
    noise_sd, noise_correlation_px : float
        Noise [g/cm2], and the standard deviation of the filter that correlates it [pixels].
    display : bool
        True: an 8-bit windowed copy; False: 16 bits linear in areal density.
    seven_bit : bool
        A display copy of 127 gray levels instead of 256.
    clipped_fraction, saturated_fraction : float
        Of a display copy's pixels: how many are 0, how many at the top.
    padding_value : int or None
        What fills the margins that were not scanned; None: no margins.
    """

    name: str
    pixel_spacing_mm: tuple[float, float]
    width_mm: float | None = None
    sharpness_mm: float = 0.35
    noise_sd: float = 0.035
    noise_correlation_px: float = 0.85
    display: bool = True
    seven_bit: bool = True
    clipped_fraction: float = 0.32
    saturated_fraction: float = 0.0055
    padding_value: int | None = 252


FINE_DISPLAY = Scanner(name="fine display copy", pixel_spacing_mm=(197.0 / 780.0, 180.0 / 716.0))
COARSE_DISPLAY = Scanner(
    name="coarse display copy",
    pixel_spacing_mm=(0.6, 0.6),
    sharpness_mm=0.5,
    noise_correlation_px=0.6,
    seven_bit=False,
    padding_value=0,
)
LINEAR_16 = Scanner(
    name="linear 16-bit image",
    pixel_spacing_mm=(0.5, 0.5),
    width_mm=137.0,
    sharpness_mm=0.6,
    noise_sd=0.04,
    noise_correlation_px=0.7,
    display=False,
    padding_value=None,
)
LINEAR_16_OBLONG = Scanner(
    name="linear 16-bit image, oblong pixels",
    pixel_spacing_mm=(1.05, 0.6),
    width_mm=137.4,
    sharpness_mm=0.6,
    noise_sd=0.04,
    noise_correlation_px=0.5,
    display=False,
    padding_value=None,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScannedImage:
    """What a scanner stores.

    Attributes
    ----------
    pixels : ndarray of uint8 or uint16, shape (M, N)
        Stored values, bone bright.
    pixel_spacing_mm : (float, float)
        The true distance of rows and of columns [mm], whatever a header will say.
    padding_value : int or None
        The value of the margins, if there are any.
    origin_mm : (float, float)
        The picture's upper left corner in the drawing's field [mm].
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    pixel_spacing_mm: tuple[float, float]
    padding_value: int | None
    origin_mm: tuple[float, float]

    @property
    def field_mm(self) -> tuple[float, float]:
        """Height and width of the picture [mm]."""
        rows, columns = self.pixels.shape
        return rows * self.pixel_spacing_mm[0], columns * self.pixel_spacing_mm[1]

    def to_pixels(self, points_mm: Array | tuple[float, float]) -> Array:
        """Return (row, column) of field points on the stored matrix, pixel centers at integers.

        Parameters
        ----------
        points_mm : ndarray of shape (..., 2)
            Points of the drawing's truth [mm].

        Returns
        -------
        ndarray of shape (..., 2)
            Fractional pixel coordinates.
        """
        result: Array = (np.asarray(points_mm) - self.origin_mm) / self.pixel_spacing_mm - 0.5
        return result


def scan(
    drawing: Drawing, scanner: Scanner, seed: int, *, noise: float = 1.0, movement_mm: float = 0.0
) -> ScannedImage:
    """Scan a drawing.

    Parameters
    ----------
    drawing : Drawing
        What lies on the table.
    scanner : Scanner
        How it is stored.
    seed : int
        Of the noise and the margins: another seed is another scan of the same.
    noise : float
        Against the scanner's own noise; 0 none, 2 a thick patient.
    movement_mm : float
        How far the patient moved to the right while the middle of the field was scanned [mm].

    Returns
    -------
    ScannedImage
        Same arguments, same pixels.
    """
    density, origin_mm = _sample(drawing, scanner)
    if movement_mm:
        moved = round(movement_mm / scanner.pixel_spacing_mm[1])
        density[density.shape[0] // 2 :] = np.roll(density[density.shape[0] // 2 :], moved, axis=1)
    noise_generator, margin_generator = (np.random.default_rng([seed, part]) for part in (10, 11))
    if noise:
        density = density + noise * scanner.noise_sd * correlated_noise(
            density.shape, noise_generator, scanner.noise_correlation_px
        )
    if scanner.display:
        margins = _margins(density.shape, scanner, margin_generator)
        pixels: NDArray[np.uint8] | NDArray[np.uint16] = display_copy(density, scanner, ~margins)
        pixels[margins] = scanner.padding_value or 0
    else:
        counts = np.round(COUNTS_AT_ZERO + COUNTS_PER_DENSITY * density)
        pixels = np.clip(counts, 0.0, 65535.0).astype(np.uint16)
    return ScannedImage(
        pixels=pixels,
        pixel_spacing_mm=scanner.pixel_spacing_mm,
        padding_value=scanner.padding_value,
        origin_mm=origin_mm,
    )


def _sample(drawing: Drawing, scanner: Scanner) -> tuple[Array, tuple[float, float]]:
    """Return density at the scanner's pixel centers, blurred, and the corner's place [mm]."""
    height, width = drawing.field_mm
    scanned = min(width, scanner.width_mm or width)
    rows = max(int(height / scanner.pixel_spacing_mm[0] + 0.5), 1)
    columns = max(int(scanned / scanner.pixel_spacing_mm[1] + 0.5), 1)
    origin_mm = (0.0, (width - scanned) / 2.0)
    sampled = drawing.pixels
    for axis, count in ((0, rows), (1, columns)):
        step, spacing = drawing.pixel_spacing_mm[axis], scanner.pixel_spacing_mm[axis]
        centers: Array = (origin_mm[axis] + (np.arange(count, dtype=np.float64) + 0.5) * spacing) / step - 0.5
        sampled = blur_at(sampled.T if axis else sampled, centers, scanner.sharpness_mm / step)
    return sampled.T, origin_mm


def blur_at(image: Array, rows: Array, sigma: float) -> Array:
    """Sample rows of an image through a Gaussian aperture.

    Parameters
    ----------
    image : ndarray of shape (M, N)
        What is sampled; its edge rows continue outward.
    rows : ndarray of shape (K,)
        Fractional row numbers.
    sigma : float
        Standard deviation of the aperture [rows], at least 0.5.

    Returns
    -------
    ndarray of shape (K, N)
        Weighted means; blur and interpolation in one step, so that no beat pattern arises.

    Examples
    --------
    >>> blur_at(np.arange(40.0)[:, None], np.array([20.0, 20.5]), 1.0).round(4).ravel()
    array([20. , 20.5])
    """
    reach = int(np.ceil(3.6 * sigma)) + 1
    nearest = np.round(rows).astype(np.intp)
    taps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * ((nearest[:, None] + taps - rows[:, None]) / sigma) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    result = np.zeros((rows.size, image.shape[1]))
    image = np.ascontiguousarray(image)
    for k, tap in enumerate(taps):
        result += weights[:, k, None] * image[np.clip(nearest + tap, 0, image.shape[0] - 1)]
    return result


def correlated_noise(shape: tuple[int, int], generator: np.random.Generator, sigma_px: float) -> Array:
    """Return white noise after a Gaussian filter, scaled to unit variance.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    generator : numpy.random.Generator
        Source of the numbers.
    sigma_px : float
        Standard deviation of the filter [pixels]; 0.8 correlates neighbors by about 0.67.

    Returns
    -------
    ndarray of shape `shape`
        The noise.
    """
    noise = generator.standard_normal(shape)
    noise = blur_at(noise, np.arange(shape[0], dtype=np.float64), sigma_px)
    noise = blur_at(noise.T, np.arange(shape[1], dtype=np.float64), sigma_px).T
    taps = np.arange(-9, 10)
    weights = np.exp(-0.5 * (taps / sigma_px) ** 2)
    kept = np.sum(weights**2) / np.sum(weights) ** 2  # of the variance, per axis
    result: Array = noise / kept
    return result


def display_copy(density: Array, scanner: Scanner, scanned: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Window areal density to the gray levels of a display copy.

    Parameters
    ----------
    density : ndarray of shape (M, N)
        Areal density [g/cm2].
    scanner : Scanner
        Gray levels and the fractions clipped at either end.
    scanned : ndarray of bool, shape (M, N)
        False on the margins, which do not move the window.

    Returns
    -------
    ndarray of uint8, shape (M, N)
        `clipped_fraction` of the pixels are 0 and `saturated_fraction` the brightest gray.
    """
    grays = SEVEN_BIT_GRAYS if scanner.seven_bit else np.arange(256, dtype=np.uint8)
    metal = density > METAL_FROM
    if metal.any():  # with the gray seam that sharpness leaves around it
        seam = int(np.ceil(4.0 * scanner.sharpness_mm / min(scanner.pixel_spacing_mm)))
        metal = binary_dilation(metal, iterations=seam)
    tissue = np.sort(density[scanned & ~metal])
    low = tissue[min(int(scanner.clipped_fraction * density.size), tissue.size // 2)]
    high = tissue[max(tissue.size - 1 - int(scanner.saturated_fraction * density.size), 0)]
    top = grays.size - 1
    step = max(high - low, 1e-6) / (top - 1)
    index = np.clip(np.ceil((density - low) / step), 0, top).astype(np.intp)
    result: NDArray[np.uint8] = grays[index]
    return result


def _margins(shape: tuple[int, int], scanner: Scanner, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return True on the staircase that an adaptive scan width leaves at both sides."""
    rows, columns = shape
    margins = np.zeros(shape, dtype=bool)
    if scanner.padding_value is None:
        return margins
    steps = 10
    borders = np.linspace(0, rows, steps + 1).astype(int)
    for side in (0, 1):
        walk = np.cumsum(generator.uniform(-2.2, 2.2, steps))
        depth_mm = np.clip(6.0 + walk - walk.mean(), 2.5, 11.3)
        depths = np.round(depth_mm / scanner.pixel_spacing_mm[1]).astype(int)
        for top, bottom, depth in zip(borders[:-1], borders[1:], depths, strict=True):
            margin = slice(0, depth) if side == 0 else slice(columns - depth, columns)
            margins[top:bottom, margin] = True
    return margins
