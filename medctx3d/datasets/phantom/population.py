"""All eight checks over a group of phantoms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .anatomy import ORGANS, T
from .checks import check_contacts, check_pieces, check_places, check_shape, check_surface, check_volumes
from .checks_image import check_composition, check_edge, check_noise
from .finding import Finding, Summary, summarise
from .generate import Phantom, generate_phantom
from .measures import volumes_ml
from .render import BLUR, Noise

BY_LABEL: tuple[Callable[[Phantom], list[Finding]], ...] = (
    check_volumes,
    check_places,
    check_contacts,
    check_pieces,
    check_surface,
    check_shape,
    check_composition,
)


def check_patients(count: int, *, seed: int = 0, step: float = 3.0) -> Iterator[list[Finding]]:
    """Generate patients without contrast medium and check each of them.

    Args:
        count: Number of patients.
        seed: Seed of the first; the others follow.
        step: Voxel size in mm.

    Yields:
        Findings of one patient.
    """
    noise = Noise(12.0)
    for number in range(seed, seed + count):
        phantom = _scan(number, (step, step, step), noise)
        findings = [finding for check in BY_LABEL for finding in check(phantom)]
        if number == seed:  # the scanner is the same for all patients
            findings += check_noise(phantom, _scan(number, (step, step, step), Noise(0.0)), noise)
            findings += check_edge(_scan(number, (0.75, 0.75, 1.5), Noise(0.0)), blur=BLUR)
        yield findings + [Finding(0, T(k).name, v, 0, np.inf) for k, v in enumerate(volumes_ml(phantom)) if k and v]


def _scan(seed: int, spacing: tuple[float, float, float], noise: Noise) -> Phantom:
    """Whole abdomen of one patient, without contrast medium and with all organs."""
    extent = (390.0, 300.0, 300.0)
    return generate_phantom(seed, spacing=spacing, extent=extent, enhanced=False, noise=noise, missing=())


def check_population(groups: list[list[Finding]]) -> list[Summary]:
    """Gather the findings of `check_patients` and add check 1's comparison of mean volumes.

    Args:
        groups: Findings of each patient.

    Returns:
        One line per quantity.
    """
    lines = summarise(groups)
    names = {T(organ).name: facts for organ, facts in ORGANS.items()}
    found = []
    for line in lines:
        if line.check == 0:
            facts = names[line.name]
            mean = facts.volume * np.exp(facts.sd**2 / 2)
            sd = mean * np.sqrt(np.exp(facts.sd**2) - 1)
            found.append(Finding(1, f'mean volume of {line.name}, mL', line.mean, mean - sd, mean + sd))
    return [*summarise([found]), *(line for line in lines if line.check)]
