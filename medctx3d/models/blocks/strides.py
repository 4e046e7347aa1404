"""Strides of a pyramid: per stage, in total, and the kernels that go with them."""

from __future__ import annotations

from collections.abc import Sequence

from medctx3d.models.blocks.sizes import triple
from medctx3d.typing import Size3

Steps = Sequence[int | Sequence[int]]


def total_strides(steps: Steps) -> tuple[Size3, ...]:
    """Strides relative to the image, from strides relative to the stage before."""
    totals: list[Size3] = []
    x, y, z = 1, 1, 1
    for step in steps:
        dx, dy, dz = triple(step)
        x, y, z = x * dx, y * dy, z * dz
        totals.append((x, y, z))
    return tuple(totals)


def stage_strides(totals: Steps) -> tuple[Size3, ...]:
    """Strides relative to the stage before, from strides relative to the image.

    Raises:
        ValueError: A stride is no multiple of the one before.
    """
    steps: list[Size3] = []
    before: Size3 = (1, 1, 1)
    for total in totals:
        here = triple(total)
        if any(coarse % fine for fine, coarse in zip(before, here, strict=True)):
            raise ValueError(f'each stride must be a multiple of the one before, got {tuple(totals)}')
        steps.append((here[0] // before[0], here[1] // before[1], here[2] // before[2]))
        before = here
    return tuple(steps)


def kernels_for(steps: Steps) -> tuple[Size3, ...]:
    """Kernel sizes that follow from the strides: 3, and 1 along an axis whose voxels are still much longer.

    Plans of the nnU-Net family leave an axis alone, kernel and stride 1, as long as its spacing is at least twice
    that of the finest axis, and halve it from then on. So the first stage with kernel 3 along an axis is the one
    before its first stride; from there on, and in the deepest stage, the kernel stays 3.

    Args:
        steps: Strides relative to the stage before, finest first.

    Returns:
        One kernel per stage.
    """
    axes = list(zip(*map(triple, steps), strict=True))  # by axis, then stage
    first = [next((stage for stage, step in enumerate(axis) if step > 1), len(axis)) - 1 for axis in axes]
    x, y, z = (tuple(3 if stage >= start else 1 for stage in range(len(steps))) for start in first)
    return tuple(zip(x, y, z, strict=True))


def resolve_kernels(kernels: Steps | None, steps: Steps) -> tuple[Size3, ...]:
    """The given kernels, or those that follow from the strides.

    Raises:
        ValueError: Not one odd kernel per stage.
    """
    if kernels is None:
        return kernels_for(steps)
    sizes = tuple(map(triple, kernels))
    if len(sizes) != len(steps) or any(side % 2 == 0 for size in sizes for side in size):
        raise ValueError(f'kernels must be odd and one per stage; {len(steps)} stages but kernels {tuple(kernels)}')
    return sizes
