"""Which phantoms a data set consists of, and where they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

GENERATOR = 1  # raise when the same seed no longer gives the same volume


def _ids(*numbers: int) -> tuple[str, ...]:
    return tuple(f'{number:04d}' for number in numbers)


BTCV_CASES = {
    'training': _ids(5, 6, 7, 9, 10, 21, 23, 24, 26, 27, 28, 30, 31, 33, 34, 37, 39, 40),
    'validation': _ids(*range(101, 201)),  # no published split has a third part
    'test': _ids(1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38),
}


class Job(NamedTuple):
    """One case to write.

    Args:
        case: Case id.
        image: File of the image.
        label: File of the label.
        seed: Seed of the phantom.
        spacing: Voxel size, mm.
        extent: Field of view, mm.
        enhanced: Amount of contrast medium, None draws it.
        noise: Standard deviation of the noise in HU, None draws it.
    """

    case: str
    image: Path
    label: Path
    seed: int
    spacing: tuple[float, float, float]
    extent: tuple[float, float, float]
    enhanced: float | None
    noise: float | None

    @property
    def done(self) -> bool:
        """Whether both files are there; they appear under these names only when complete."""
        return self.image.is_file() and self.label.is_file()


class Settings(NamedTuple):
    """What a data set of phantoms was asked to be; see `write_dataset`."""

    seed: int
    layout: str
    training: int
    validation: int
    test: int
    spacing: tuple[float, float, float]
    extent: tuple[float, float, float]
    vary: float
    enhanced: float | None
    noise: float | None
    generator: int = GENERATOR

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON gives them back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._asdict().items()}


def plan_cases(settings: Settings) -> dict[str, list[str]]:
    """Case ids of every split.

    Raises:
        ValueError: Layout or number of cases is not possible.
    """
    if settings.layout not in ('btcv', 'plain'):
        raise ValueError(f"layout must be 'btcv' or 'plain', got {settings.layout!r}")
    counts = {'training': settings.training, 'validation': settings.validation, 'test': settings.test}
    if not any(counts.values()):
        raise ValueError('training, validation and test are all 0, set at least one of them')
    cases, start = {}, 0
    for split, count in counts.items():
        limit = len(BTCV_CASES[split]) if settings.layout == 'btcv' else 999
        if not 0 <= count <= limit:
            hint = ", set layout='plain' for more" if settings.layout == 'btcv' and limit < count <= 999 else ''
            raise ValueError(f'{split} must be 0 to {limit} cases in layout {settings.layout!r}, got {count}{hint}')
        plain = [f'case_{number:03d}' for number in range(start, start + count)]
        cases[split] = list(BTCV_CASES[split][:count]) if settings.layout == 'btcv' else plain
        start += count
    return cases


def plan_jobs(out_dir: Path, settings: Settings) -> dict[str, list[Job]]:
    """What to write where, split by split.

    A case's seed depends on the data set's seed and on the place of the case in the list.

    Raises:
        ValueError: Layout or number of cases is not possible.
    """
    jobs: dict[str, list[Job]] = {}
    number = 0
    for split, cases in plan_cases(settings).items():
        jobs[split] = []
        for case in cases:
            seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
            factors = 1 + settings.vary * np.random.default_rng([settings.seed, number, 1]).uniform(-1, 1, 2)
            plane, along = map(float, factors)
            x, y, z = settings.spacing
            wide, deep, high = settings.extent
            image, label = (f'img{case}', f'label{case}') if settings.layout == 'btcv' else (case, case)
            jobs[split].append(
                Job(
                    case=case,
                    image=out_dir / 'imagesTr' / f'{image}.nii.gz',
                    label=out_dir / 'labelsTr' / f'{label}.nii.gz',
                    seed=seed,
                    spacing=(round(x * plane, 4), round(y * plane, 4), round(z * along, 4)),
                    extent=(wide * plane, deep * plane, high),
                    enhanced=settings.enhanced,
                    noise=settings.noise,
                )
            )
            number += 1
    return jobs
