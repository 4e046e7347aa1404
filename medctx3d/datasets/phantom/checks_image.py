"""Checks of the intensities: noise, sharpness and what the body consists of."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, optimize, special
from skimage import measure

from .anatomy import T
from .finding import Finding
from .generate import Phantom
from .measures import frame_of
from .render import Noise

FWHM = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum of a Gaussian of standard deviation 1


def check_noise(phantom: Phantom, clean: Phantom, noise: Noise) -> list[Finding]:
    """Check 7a: noise of the liver has the standard deviation and the correlation that were asked for.

    Args:
        phantom: With noise.
        clean: The same patient with a noise of 0 HU.
        noise: What was asked for.

    Returns:
        Standard deviation and lag-1 correlations.
    """
    added = phantom.image.astype(np.float32) - clean.image
    inside = ndimage.binary_erosion(phantom.label == 6)
    found = [Finding(7, 'noise in the liver, HU', added[inside].std(), 0.9 * noise.sd, 1.1 * noise.sd)]
    for axis, name in enumerate('xyz'):
        first = np.moveaxis(added, axis, 0)[:-1]
        second = np.moveaxis(added, axis, 0)[1:]
        both = np.moveaxis(inside, axis, 0)[:-1] & np.moveaxis(inside, axis, 0)[1:]
        wanted = noise.correlation(axis, frame_of(phantom).spacing[axis])
        slack = max(0.1 * wanted, 0.02)  # a tenth of a correlation near 0 is below what can be measured
        value = float(np.corrcoef(first[both], second[both])[0, 1])
        found.append(Finding(7, f'lag-1 correlation along {name}', value, wanted - slack, wanted + slack))
    return found


def check_edge(clean: Phantom, *, blur: float) -> list[Finding]:
    """Check 7b: width of the edge between liver and fat in the axial plane.

    Args:
        clean: Phantom without noise, with pixels below 1 mm.
        blur: Standard deviation of the in-plane blur that was asked for, mm.

    Returns:
        Full width at half maximum, mm.
    """
    spacing = frame_of(clean).spacing
    step = float(spacing[0])
    liver = float(np.median(clean.image[clean.label == 6]))
    fat = float(np.median(clean.image[clean.tissue == T.CAVITY]))
    offsets = np.arange(-10, 10.01, 0.25)
    profiles = []
    for index in np.flatnonzero((clean.label == 6).any(axis=(0, 1)))[::4]:
        plane = clean.image[:, :, index].astype(float)
        for contour in measure.find_contours(plane, (liver + fat) / 2):
            tangent = np.gradient(contour, axis=0)
            normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
            normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
            for sign in (1, -1):
                lines = contour[:, None] + sign * normal[:, None] * (offsets / step)[None, :, None]
                values = ndimage.map_coordinates(plane, lines.transpose(2, 0, 1), order=1, mode='nearest')
                ends = (np.abs(values[:, :12] - liver) < 30).all(1) & (np.abs(values[:, -12:] - fat) < 30).all(1)
                profiles.append(values[ends])
    profile = np.concatenate(profiles).mean(axis=0)
    width = optimize.curve_fit(
        lambda x, low, high, place, sd: low + (high - low) * special.ndtr((place - x) / sd),
        offsets, profile, p0=(fat, liver, 0, 1.5), bounds=([-200, -50, -5, 0.2], [50, 300, 5, 8]),
    )[0][3]  # fmt: skip
    # Variances add: the blur, the average over a pixel, the linear interpolation between pixels.
    wanted = FWHM * np.sqrt(blur**2 + step**2 / 12 + step**2 / 6)
    return [Finding(7, 'width of the liver-fat edge, mm', FWHM * width, wanted - 0.5, wanted + 0.5)]


def check_composition(phantom: Phantom) -> list[Finding]:
    """Check 8: shares of fat, soft tissue, bone, gas and labels; meant for phantoms without contrast medium."""
    frame = frame_of(phantom)
    z = np.arange(phantom.image.shape[2]) * frame.spacing[2] - frame.origin[2]
    block = (z >= -110) & (z <= 75)
    image, tissue, label = (array[:, :, block] for array in (phantom.image, phantom.tissue, phantom.label))
    inside = (tissue != T.AIR) & (tissue != T.TABLE)
    body = image[inside & (tissue != T.LUNG)]
    shares = {
        'fat (-200 to -30 HU)': ((body >= -200) & (body <= -30), 28, 60),
        'soft tissue (0 to 100 HU)': ((body >= 0) & (body <= 100), 30, 45),
        'bone (over 150 HU)': (body > 150, 1.5, 3),
        'gas (under -300 HU)': (body < -300, 1, 5),
    }
    found = [Finding(8, f'{name}, % of the body', 100 * float(m.mean()), a, b) for name, (m, a, b) in shares.items()]
    found.append(Finding(8, 'labels, % of the abdomen', 100 * float((label[inside] > 0).mean()), 12, 22))
    return found
