"""One patient: everything that is drawn before a single voxel is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .anatomy import ORGANS
from .fields import rotation, vector_sd


class Patient(NamedTuple):
    """Sizes, places and the phase of one patient.

    Args:
        size: Body size in standard deviations.
        scale: Factors by which positions are stretched along x, y, z.
        mode_a: Upper organs riding up or down, in standard deviations.
        mode_c: Right-side mode, in standard deviations.
        fat: Thickness of the fat under the skin relative to the mean.
        spine_shift: Common shift of spine and great vessels to the front, mm.
        volumes: Volume of every organ present, mL.
        centres: Centroid of every organ, mm.
        turns: Rotation (3, 3) of every organ.
        enhancement: 0 without contrast medium, 1 in the portal-venous phase.
        missing: Label ids of absent organs.
    """

    size: float
    scale: np.ndarray
    mode_a: float
    mode_c: float
    fat: float
    spine_shift: float
    volumes: dict[int, float]
    centres: dict[int, np.ndarray]
    turns: dict[int, np.ndarray]
    enhancement: float
    missing: tuple[int, ...]

    def growth(self, organ: int) -> float:
        """Edge length of an organ relative to the mean patient's."""
        return (self.volumes[organ] / ORGANS[organ].volume) ** (1 / 3)


def draw_patient(rng: np.random.Generator, *, enhanced: bool | float | None, missing: Sequence[int] | None) -> Patient:
    """Draw one patient from the population.

    Args:
        rng: Source of randomness.
        enhanced: Amount of contrast medium, 0 to about 1.3; None draws it.
        missing: Label ids of organs that are absent; None draws them.

    Returns:
        The patient.
    """
    size, mode_a, mode_c = vector_sd(rng, (1, 1, 1), limit=2.0)
    scale = np.array([1 + 0.09 * size, 1 + 0.10 * size, 1 + 0.03 * size])
    fat = float(np.clip(np.exp(0.2 * size + 0.25 * vector_sd(rng, (1,))[0]), 0.6, 1.4))
    volumes = _volumes(rng, size)
    centres = {}
    turns = {}
    for organ, facts in ORGANS.items():
        shift = mode_a * np.array(facts.mode_a) + mode_c * np.array(facts.mode_c)
        centres[organ] = np.array(facts.centre) * scale + 0.8 * shift + vector_sd(rng, facts.rest, limit=1.5)
        sway = 0.06 if organ in (1, 6) else 0.10
        turns[organ] = rotation(vector_sd(rng, (sway, sway, sway), limit=1.5).tolist())
    # Rare draws would turn the order of neighbours round, which no patient showed.
    centres[11][2] = min(centres[11][2], centres[6][2] - 16)
    centres[4][2] = min(centres[4][2], centres[10][2] - 12)
    phase = 0.0 if rng.random() < 0.15 else float(np.clip(rng.normal(0.95, 0.17), 0.5, 1.35))
    absent = [4] if rng.random() < 0.08 else []
    lost_kidney = rng.random()
    absent += [2] if lost_kidney < 0.02 else [3] if lost_kidney < 0.04 else []
    return Patient(
        size=float(size),
        scale=scale,
        mode_a=float(mode_a),
        mode_c=float(mode_c),
        fat=fat,
        spine_shift=float(vector_sd(rng, (6,))[0]),
        volumes=volumes,
        centres=centres,
        turns=turns,
        enhancement=phase if enhanced is None else float(enhanced),
        missing=tuple(absent) if missing is None else tuple(sorted(missing)),
    )


def _volumes(rng: np.random.Generator, size: float) -> dict[int, float]:
    """Log-normal volumes (mL) that grow with body size; both kidneys share what size does not explain."""
    volumes = {}
    shared = float(vector_sd(rng, (1,))[0])
    for organ, facts in ORGANS.items():
        own = float(vector_sd(rng, (1,))[0])
        rest = 0.92 * shared + 0.39 * own if organ in (2, 3) else own
        spread = facts.rho * size + np.sqrt(1 - facts.rho**2) * rest
        volumes[organ] = float(np.clip(facts.volume * np.exp(facts.sd * spread), *facts.clip))
    return volumes
