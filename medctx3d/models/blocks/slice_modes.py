"""How PCT-Net and FMUNet treat slices that lie farther apart than pixels."""

from __future__ import annotations

from collections.abc import Sequence

from medctx3d.typing import Size3

# Whether the first and the second halving, and the convolutions at their finer side, leave the slice axis alone.
MODES: dict[int, tuple[bool, bool]] = {0: (False, False), 1: (True, False), 2: (True, True)}
LEVELS = 4


def coarsest_stride(mode: int, *, deepest: int) -> Size3:
    """Stride (X, Y, Z) of the coarsest level: two halvings by the mode, then ``deepest`` in all axes."""
    plane = 2 ** (2 + deepest)
    return plane, plane, plane // 2 ** sum(MODES[mode])


def check_network(name: str, channels: Sequence[int], mode: int, levels: int) -> None:
    """Refuse what cannot be built.

    Raises:
        ValueError: Not five levels of channels, an unknown mode, or logits levels that are not there.
    """
    if len(channels) != 5 or min(channels) < 1:
        raise ValueError(f'{name}: channels must be five positive numbers, finest level first, got {tuple(channels)}')
    if mode not in MODES:
        raise ValueError(
            f'{name}: mode must be 0 (isotropic), 1 or 2 (slices 2 or 4 times as far apart), got {mode!r}'
        )
    if not 1 <= levels <= LEVELS:
        raise ValueError(f'{name}: levels must lie in 1..{LEVELS}, got {levels}')


def check_crop(name: str, crop: tuple[int, ...], mode: int, *, deepest: int) -> None:
    """Refuse a crop that the coarsest level does not divide.

    Raises:
        ValueError: With the rule and the nearest crop that fits.
    """
    stride = coarsest_stride(mode, deepest=deepest)
    if all(side % step == 0 for side, step in zip(crop, stride, strict=True)):
        return
    nearest = tuple(max(step, step * round(side / step)) for side, step in zip(crop, stride, strict=True))
    raise ValueError(f'{name}: crop sides must be multiples of {stride} in mode {mode}, got {crop}: take {nearest}')
