"""Implicit shapes: arrays that are larger the deeper a voxel lies inside a shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from .anatomy import Vector

WORLD = 420.0  # half edge (mm) of the cube in which smooth noise is defined, whatever the field of view
FAR = -1e3  # field value far outside every shape

Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]


def spline_weights(axis: np.ndarray, pitch: float) -> np.ndarray:
    """Cubic B-spline weights from a lattice with the given pitch (mm) to the positions of one axis.

    Args:
        axis: Positions in mm, shape (n,).
        pitch: Distance of the lattice nodes, mm.

    Returns:
        Weights of shape (n, nodes), float32.
    """
    nodes = np.arange(-WORLD, WORLD + pitch, pitch)
    t = np.abs(axis[:, None] - nodes[None]) / pitch
    inner = 2 / 3 - t**2 + t**3 / 2
    outer = (2 - t) ** 3 / 6
    return np.where(t < 1, inner, np.where(t < 2, outer, 0)).astype(np.float32)


def smooth_noise(rng: np.random.Generator, axes: Sequence[np.ndarray], length: float) -> np.ndarray:
    """Draw smooth noise of unit variance that does not depend on the voxel grid it is sampled on.

    Args:
        rng: Source of randomness; the same state gives the same noise on every grid.
        axes: Voxel centres along x, y, z in mm.
        length: Correlation length in mm.

    Returns:
        Noise of shape (X, Y, Z), float32, mean 0 and standard deviation 1.
    """
    pitch = 0.75 * length
    weights = [spline_weights(axis, pitch) for axis in axes]
    size = weights[0].shape[1]
    noise = rng.standard_normal((size, size, size), dtype=np.float32)
    for weight in weights:  # each pass moves one lattice axis to the back as a voxel axis
        used = np.flatnonzero(weight.any(axis=0))
        part = slice(used[0], used[-1] + 1)
        noise = np.tensordot(noise[part], weight[:, part], axes=(0, 1))
    # 151/315 is the mean square of the cubic B-spline: the variance that interpolation leaves per axis.
    return noise / np.float32((151 / 315) ** 1.5)


def ellipsoid_distance(at: Coordinates, centre: Sequence[float] | np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Mahalanobis distance from an ellipsoid's centre: 1 on its surface.

    Args:
        at: Coordinates x, y, z of the voxels in mm, arrays that broadcast to (X, Y, Z).
        centre: Centre in mm.
        covariance: Shape matrix (3, 3) in mm2.

    Returns:
        Distance of shape (X, Y, Z), float32.
    """
    # The upper Cholesky factor of the inverse turns the quadratic form into a sum of three squares.
    factor = np.linalg.cholesky(np.linalg.inv(covariance)).T.astype(np.float32)
    x, y, z = (axis - np.float32(c) for axis, c in zip(at, centre, strict=True))
    total = np.square(factor[0, 0] * x + factor[0, 1] * y + factor[0, 2] * z)
    total += np.square(factor[1, 1] * y + factor[1, 2] * z)
    total += np.square(factor[2, 2] * z)
    return np.sqrt(total)


def blob_union(at: Coordinates, centres: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Smooth union of ellipsoids: about 0 on the surface, 1 at a centre, negative outside.

    Args:
        at: Coordinates of the voxels in mm.
        centres: Centres (B, 3) in mm.
        covariances: Shape matrices (B, 3, 3) in mm2.

    Returns:
        Field of shape (X, Y, Z), float32.
    """
    total: np.ndarray | float = 0.0
    for centre, covariance in zip(centres, covariances, strict=True):
        total = total + np.exp(np.float32(-5) * np.minimum(ellipsoid_distance(at, centre, covariance), 12))
    return np.float32(1) + np.log(total) / np.float32(5)


def covariance_matrix(entries: Sequence[float]) -> np.ndarray:
    """Symmetric (3, 3) matrix from its entries (xx, yy, zz, xy, xz, yz)."""
    xx, yy, zz, xy, xz, yz = entries
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], float)


def rotation(angles: Sequence[float]) -> np.ndarray:
    """Rotation matrix (3, 3) from small turns about x, y and z, in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def resample_curve(points: np.ndarray, step: float) -> np.ndarray:
    """Smooth curve through control points, sampled at equal arc length.

    Args:
        points: Control points (P, 4): x, y, z and radius in mm.
        step: Distance of the samples, mm.

    Returns:
        Samples (S, 4).
    """
    points = np.asarray(points, float)
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1))])
    spline = CubicSpline(chord, points, bc_type='natural')
    count = max(2, int(np.ceil(chord[-1] / step)) + 1)
    return spline(np.linspace(0, chord[-1], count))


def vector_sd(rng: np.random.Generator, sd: Vector | Sequence[float], limit: float = 1.8) -> np.ndarray:
    """Normal vector with the given standard deviations, cut off at `limit` of them."""
    return np.clip(rng.standard_normal(len(sd)), -limit, limit) * np.asarray(sd, float)
