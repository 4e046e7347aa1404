"""What a chain of transforms must not hold."""

from __future__ import annotations

from collections.abc import Sequence

from monai.transforms import Compose, Flipd, MapTransform, RandAxisFlipd, RandFlipd, Randomizable

from medctx3d.datasets.transforms.rand_mirror import LEFT_RIGHT_AXIS, sided


def refuse_randomness(load_pipeline: Compose) -> None:
    """What runs once per case must not draw.

    Raises:
        ValueError: A transform is random.
    """
    for transform in load_pipeline.transforms:
        if isinstance(transform, Randomizable) and not isinstance(transform, Compose):
            raise ValueError(
                f'load_pipeline holds {type(transform).__name__}, which is random, but runs once per case: '
                'move it to pipeline'
            )


def refuse_blind_flips(pipeline: Compose, classes: Sequence[str]) -> None:
    """MONAI's flips leave labels where they are: a left kidney would be taught as a right one.

    Raises:
        ValueError: A transform flips left and right, and a class has a side.
    """
    for transform in pipeline.transforms:
        if not isinstance(transform, (Flipd, RandFlipd, RandAxisFlipd)) or not sided(classes):
            continue
        axes = getattr(getattr(transform, 'flipper', None), 'spatial_axis', None)
        blind = axes is None or LEFT_RIGHT_AXIS in ((axes,) if isinstance(axes, int) else tuple(axes))
        if isinstance(transform, RandAxisFlipd) or blind:
            raise ValueError(
                f'pipeline holds {type(transform).__name__}, which flips left and right without changing sided labels '
                f"({', '.join(sided(classes)[:4])}): use dict(type='RandMirror'), which swaps them"
            )


def refuse_moved_images(pipeline: Compose) -> None:
    """A spatial transform that does not name the regions would move the image away from them, unseen.

    Raises:
        ValueError: There is one.
    """
    for transform in pipeline.transforms:
        spatial = type(transform).__module__.startswith(('monai.transforms.spatial', 'monai.transforms.croppad'))
        if spatial and isinstance(transform, MapTransform) and 'regions' not in transform.keys:
            raise ValueError(
                f'pipeline holds {type(transform).__name__}(keys={list(transform.keys)}), which moves the image but '
                "not its region map: add 'regions' to keys (mode='nearest', where it takes a mode)"
            )
