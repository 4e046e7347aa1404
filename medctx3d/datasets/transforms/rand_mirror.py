"""Flips that know left from right."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from monai.transforms import RandomizableTransform

from medctx3d.registry import TRANSFORMS, closest

LEFT_RIGHT_AXIS = 0  # of (X, Y, Z) in RAS+ order
_SIDED = re.compile(r'(?:^|[^a-z])(?:left|right|l|r)(?![a-z0-9])|(?:^|[^a-z])(?:left|right)', re.IGNORECASE)
_SIDED_CAMEL = re.compile(r'[a-z](?:Left|Right|L|R)(?![a-z])|^[LR](?=[A-Z][a-z])')  # KidneyLeft, kidneyL, LKidney


def sided(classes: Sequence[str]) -> list[str]:
    """The classes that carry a side in their names, such as left_kidney, kidney_l, KidneyLeft."""
    return [name for name in classes if _SIDED.search(name) or _SIDED_CAMEL.search(name)]


def mirror(
    image: torch.Tensor, label: torch.Tensor | None, axes: Sequence[int], swaps: Sequence[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Flip a volume; with the left-right axis among ``axes``, sided classes change places.

    Args:
        image: (C, X, Y, Z) in RAS+ order.
        label: (1, X, Y, Z) class ids of any integer type, or None.
        axes: Spatial axes to flip, 0 to 2.
        swaps: Pairs of class ids that are each other's mirror image.

    Returns:
        The flipped image and label; types and shapes stay.
    """
    dims = [axis + 1 for axis in axes]
    image = image.flip(dims)
    if label is None:
        return image, None
    flipped = label.flip(dims)
    if LEFT_RIGHT_AXIS not in axes:
        return image, flipped
    swapped = flipped.clone()
    for one, other in swaps:
        swapped[flipped == one] = other
        swapped[flipped == other] = one
    return image, swapped


@TRANSFORMS.register_module()
class RandMirror(RandomizableTransform):
    """Flip image and label at random along each axis.

    A flip along axis 0 turns left into right, so labels of paired classes (``metainfo['mirror_pairs']``) change
    places. Where a class carries a side in its name and is in no pair, that axis is never flipped, and this is said
    once.

    Args:
        prob: Probability of a flip, for each axis by itself.
        axes: Axes that may be flipped: 0 left-right, 1 back-front, 2 foot-head.
        metainfo: With ``classes`` and, for sided classes, ``mirror_pairs``.

    Raises:
        ValueError: ``prob`` or ``axes`` is outside its range, or a pair names an unknown class.
    """

    def __init__(self, prob: float = 0.2, axes: Sequence[int] = (0, 1, 2), *, metainfo: dict[str, Any]) -> None:
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be from 0 to 1, got {prob}')
        if any(axis not in (0, 1, 2) for axis in axes) or len(set(axes)) != len(axes):
            raise ValueError(f'axes must be different ones of 0, 1, 2, got {tuple(axes)}')
        self.axis_prob = prob
        classes = list(metainfo.get('classes', ()))
        pairs = [tuple(pair) for pair in metainfo.get('mirror_pairs') or ()]
        self.swaps = [_pair_ids(pair, classes) for pair in pairs]
        unpaired = [name for name in sided(classes) if not any(name in pair for pair in pairs)]
        self.axes = tuple(axes)
        if unpaired and LEFT_RIGHT_AXIS in self.axes:
            self.axes = tuple(axis for axis in axes if axis != LEFT_RIGHT_AXIS)
            print_log(
                f'RandMirror leaves out left-right flips: {", ".join(map(repr, unpaired))} would change sides. '
                "Name each class's counterpart in metainfo=dict(mirror_pairs=[('left x', 'right x'), ...]).",
                logger='current',
                level=logging.WARNING,
            )
        self.flipped: tuple[int, ...] = ()

    def randomize(self, data: Any = None) -> None:
        """Draw ``flipped``, the axes of the next flip."""
        draws = self.R.random_sample(3)
        self.flipped = tuple(axis for axis in self.axes if draws[axis] < self.axis_prob)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Flip ``image`` (C, X, Y, Z), and ``label`` and ``regions`` (1, X, Y, Z) if there are; all tensors."""
        self.randomize()
        if not self.flipped:
            return data
        flipped = dict(data)
        flipped['image'], label = mirror(data['image'], data.get('label'), self.flipped, self.swaps)
        if label is not None:
            flipped['label'] = label
        if 'regions' in data:
            flipped['regions'] = data['regions'].flip([axis + 1 for axis in self.flipped])
        return flipped


def _pair_ids(pair: tuple[str, ...], classes: list[str]) -> tuple[int, int]:
    if len(pair) != 2 or pair[0] == pair[1]:
        raise ValueError(f'mirror_pairs must hold pairs of two different class names, got {pair}')
    for name in pair:
        if name not in classes:
            near = closest(name, classes)
            hint = f' Closest: {", ".join(near)}.' if near else ''
            raise ValueError(f'mirror_pairs names {name!r}, which is not among the classes.{hint}')
    return classes.index(pair[0]), classes.index(pair[1])
