"""What a user may ask of a prediction beyond the config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Precision = Literal['float32', 'bfloat16', 'float16']
Average = Literal['softmax', 'logits']
Networks = Literal['student', 'teacher', 'both']
Resample = Literal['scores', 'labels']


@dataclass(frozen=True)
class PredictionOptions:
    """What a user may ask of a prediction beyond the config; the default is the config's own prediction.

    Attributes:
        mirror_axes: Spatial axes (0 left-right, 1 back-front, 2 foot-head) along which every window is also shown
            mirrored, in all combinations; the answers are averaged. Costs 2 to the power of their number.
        precision: Arithmetic of the network; scores are summed in float32 all the same.
        compile: Compile the network with ``torch.compile`` before its first window.
        max_memory: Bytes that host and device may each hold; None sets no bound. See
            :func:`medctx3d.utils.sizes.parse_size` for ``'4GB'``.
        overlap: Part of a window's side that neighbouring windows share, 0 up to 1; None: the config's.
        skip_air: Leave out windows in which every voxel has the value that the pipeline gives to air.
        average: How answers of several networks or mirrors are averaged within a window: their probabilities, or their
            logits.
        networks: Which networks of the model answer; None: the one that ``test_cfg.predict_with`` names.
        resample: What is brought to the grid of the file: ``scores``, by linear interpolation, or ``labels``, by the
            nearest voxel; None: what ``test_cfg.resample`` says.

    Raises:
        ValueError: A value is out of its range; the message names the option.
    """

    mirror_axes: tuple[int, ...] = ()
    precision: Precision = 'float32'
    compile: bool = False
    max_memory: int | None = None
    overlap: float | None = None
    skip_air: bool = False
    average: Average = 'softmax'
    networks: Networks | None = None
    resample: Resample | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'mirror_axes', tuple(self.mirror_axes))
        if any(axis not in (0, 1, 2) for axis in self.mirror_axes) or len(set(self.mirror_axes)) < len(
            self.mirror_axes
        ):
            raise ValueError(f'mirror_axes must be different ones of 0, 1, 2, got {self.mirror_axes}')
        if self.max_memory is not None and self.max_memory <= 0:
            raise ValueError(f'max_memory must be a positive number of bytes, or None, got {self.max_memory}')
        if self.overlap is not None and not 0 <= self.overlap < 1:
            raise ValueError(f'overlap must be at least 0 and less than 1, got {self.overlap}')
        for name, known, optional in (
            ('precision', Precision, False),
            ('average', Average, False),
            ('networks', Networks, True),
            ('resample', Resample, True),
        ):
            value = getattr(self, name)
            if value not in get_args(known) and not (optional and value is None):
                raise ValueError(f'{name} must be one of {get_args(known)}, got {value!r}')
