"""Is an image of the kind that the model was trained on? Judged by its range of intensities."""

from __future__ import annotations

from collections.abc import Sequence

from medctx3d.datasets.pipeline import transform_name

_NARROW = 0.05  # a range this small, as a part of the window, leaves almost no contrast


def intensity_window(load_pipeline: Sequence[dict]) -> tuple[float, float] | None:
    """The window of intensities that a pipeline scales, where it has one (``ScaleIntensityRanged``).

    Args:
        load_pipeline: Configs of transforms.

    Returns:
        Lowest and highest intensity in the unit of the images, HU for CT.
    """
    for cfg in load_pipeline:
        if transform_name(cfg) in ('ScaleIntensityRanged', 'ScaleIntensityRangeD', 'ScaleIntensityRangeDict'):
            return float(cfg['a_min']), float(cfg['a_max'])
    return None


def intensity_problem(found: tuple[float, float], window: tuple[float, float], channels: Sequence[str]) -> str:
    """Why a range of intensities does not fit a window; empty where it does.

    Args:
        found: Lowest and highest intensity of the image.
        window: Those of the model's window.
        channels: Names of the model's channels.
    """
    (low, high), (floor, ceiling) = found, window
    if high <= floor or low >= ceiling:
        why = 'the two do not meet'
    elif floor < 0 <= low:
        why = 'nothing lies below 0, where CT has air (about -1000) and fat'
    elif high - low < _NARROW * (ceiling - floor):
        why = 'the image fills almost nothing of it'
    else:
        return ''
    return (
        f'intensities lie between {low:g} and {high:g}, the model ({", ".join(channels)}) looks at {floor:g} to '
        f'{ceiling:g}: {why}. Is it an image of that kind, in its original unit and not rescaled for display? '
        'The result is probably wrong'
    )
