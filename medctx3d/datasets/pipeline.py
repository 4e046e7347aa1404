"""Building, seeding and running a chain of transforms."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose

from medctx3d.registry import TRANSFORMS


def build_pipeline(cfgs: Sequence[dict | Callable[[dict], dict]], metainfo: dict[str, Any]) -> Compose:
    """Build a chain of transforms.

    Args:
        cfgs: One config per transform, ``type`` being a name in ``TRANSFORMS`` or a dotted path such as
            ``'monai.transforms.RandFlipd'``; built transforms are taken as they are.
        metainfo: Meta information of the data set; a transform whose constructor has a ``metainfo`` argument gets it
            unless its config brings its own.

    Returns:
        MONAI's composition: it passes a seed on to every member that is MONAI ``Randomizable``.

    Raises:
        TypeError: An entry is neither a config with ``type`` nor callable, or has an argument that its class lacks.
    """
    return Compose([_build_transform(cfg, metainfo, position) for position, cfg in enumerate(cfgs)])


def _build_transform(cfg: dict | Callable[[dict], dict], metainfo: dict[str, Any], position: int) -> Any:
    if not isinstance(cfg, dict):
        if callable(cfg):
            return cfg
        raise TypeError(f'pipeline[{position}] must be dict(type=...) or a callable, got {cfg!r}')
    arguments = dict(cfg.items())
    if 'type' not in arguments:
        raise TypeError(f"pipeline[{position}] must name its transform, dict(type='...'), got {arguments}")
    component = arguments['type']
    if isinstance(component, str):
        component = TRANSFORMS.get(component)
    if component is not None and 'metainfo' in inspect.signature(component).parameters:
        arguments.setdefault('metainfo', metainfo)
    return TRANSFORMS.build(arguments)


def transform_name(cfg: Mapping[str, Any]) -> str:
    """Class name of a transform's config, without the path to it."""
    component = cfg['type']
    return component.rpartition('.')[2] if isinstance(component, str) else component.__name__


def draw_seed(seed: int, draw: int) -> int:
    """The 32-bit seed of one draw: the same on every machine, unrelated between neighbouring draws."""
    return int(np.random.SeedSequence((seed, draw)).generate_state(1)[0])


@contextmanager
def seeded(pipeline: Compose, seed: int) -> Iterator[None]:
    """Seed everything that transforms draw from, and put the process's own generators back afterwards.

    MONAI transforms have generators of their own; all others use those of ``random``, numpy and torch. Restoring
    matters with ``num_workers=0``, where dropout and masks of the training step share those three.

    Args:
        pipeline: Its ``Randomizable`` members are seeded.
        seed: From 0 to 2**32 - 1.
    """
    # Only torch's CPU generator: torch.manual_seed would reset those of the GPUs as well.
    generator = torch.default_generator
    states = random.getstate(), np.random.get_state(), generator.get_state()
    random.seed(seed)
    np.random.seed(seed)
    generator.manual_seed(seed)
    pipeline.set_random_state(seed=seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        generator.set_state(states[2])


def run_pipeline(
    pipeline: Callable[[dict[str, Any]], dict[str, Any]], data: dict[str, Any], case: str
) -> dict[str, Any]:
    """Run the chain on one case; an error names it.

    MONAI wraps whatever a transform raises in a ``RuntimeError`` that only names the transform. Errors about a file
    come out as they went in; any other gets the case and its own words in one message.

    Raises:
        OSError: A file is missing or cannot be read.
        ValueError: A file breaks a rule (``VolumeError``) or holds values that cannot be stored.
        RuntimeError: Anything else that a transform raised.
    """
    try:
        return pipeline(data)
    except RuntimeError as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        if isinstance(root, OSError) or type(root).__name__ == 'VolumeError':
            raise root from None
        words = f'{error}: {type(root).__name__}: {root}' if root is not error else str(error)
        raise RuntimeError(f'case {case!r}: {words}') from root
