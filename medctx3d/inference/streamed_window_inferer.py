"""Sliding windows whose scores leave plane by plane, so that those of a whole volume never exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from monai.data.utils import compute_importance_map
from monai.utils import ensure_tuple_rep
from torch import Tensor

from medctx3d.inference.label_volume import LabelVolume
from medctx3d.inference.plane_resampling import PlaneResampler
from medctx3d.inference.slab import Slab
from medctx3d.inference.window_grid import WindowGrid, window_grid
from medctx3d.registry import TASK_UTILS
from medctx3d.typing import Planes, PlaneSink, Segmented, Size3, WindowScorer
from medctx3d.utils.geometry import GridMap


@TASK_UTILS.register_module()
class StreamedWindowInferer:
    """Sliding windows whose scores leave plane by plane, so that those of a whole volume never exist.

    Windows and weights are those of MONAI's ``SlidingWindowInferer``, and so are the labels, but for ties of floating
    point sums. Layers of windows follow one another along one axis; a plane that no later window changes is turned
    into labels and forgotten. Besides the volume, memory holds the scores of one layer.

    Args:
        roi_size: Voxels of a window; a side of -1 takes the volume's.
        sw_batch_size: Windows that the network is shown at once.
        overlap: Part of a window's side that neighbours share, one number or one per axis.
        mode: ``gaussian`` weighs the middle of a window more than its border, ``constant`` does not.
        sigma_scale: Standard deviation of the Gaussian as a part of the window's side.
        cval: Value around a volume that is smaller than a window.
        air: Windows in which every voxel has this value are background and not shown to the network; None shows all.
        device: Where scores are summed, such as ``cpu``; None: where the network answers.
        dtype: Of the sum, ``float32`` or ``float16``.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        sw_batch_size: int = 1,
        overlap: float | Sequence[float] = 0.25,
        mode: Literal['gaussian', 'constant'] = 'gaussian',
        *,
        sigma_scale: float = 0.125,
        cval: float = 0.0,
        air: float | None = None,
        device: str | None = None,
        dtype: Literal['float32', 'float16'] = 'float32',
    ) -> None:
        self.roi_size: tuple[int, ...] = tuple(int(side) for side in roi_size)
        self.overlap: tuple[float, ...] = ensure_tuple_rep(overlap, 3)
        if len(self.roi_size) != 3 or any(side == 0 or side < -1 for side in self.roi_size):
            raise ValueError(f'roi_size must be three sides in voxels (-1: the whole volume), got {self.roi_size}')
        if any(not 0 <= part < 1 for part in self.overlap):
            raise ValueError(f'overlap must be at least 0 and less than 1, got {self.overlap}')
        if sw_batch_size < 1:
            raise ValueError(f'sw_batch_size must be at least 1, got {sw_batch_size}')
        if mode not in ('gaussian', 'constant'):
            raise ValueError(f"mode must be 'gaussian' or 'constant', got {mode!r}")
        if dtype not in ('float32', 'float16'):
            raise ValueError(f"dtype must be 'float32' or 'float16', got {dtype!r}")
        self.sw_batch_size = sw_batch_size
        self.mode = mode
        self.sigma_scale = sigma_scale
        self.cval = cval
        self.air = air
        self.device = device
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.skipped = 0  # windows of the volume that was streamed last

    def grid(self, shape: Sequence[int]) -> WindowGrid:
        """Where the windows of a volume of (X, Y, Z) voxels lie."""
        return window_grid(shape, self.roi_size, self.overlap)

    @torch.no_grad()
    def stream(self, volume: Tensor, network: WindowScorer) -> Iterator[Planes]:
        """The scores of a volume, in order along one axis.

        Args:
            volume: (C, X, Y, Z).
            network: Windows (N, C, x, y, z) to scores before the softmax (N, K, x, y, z).

        Yields:
            Neighbouring planes; their scores are overwritten once the next are asked for.

        Raises:
            ValueError: The network's answer has not the voxels of the window.
        """
        grid = self.grid(volume.shape[1:])
        slab: Slab | None = None
        self.skipped = 0
        for starts, stop in grid.layers():
            for batch in self._batches(volume, grid, starts, keep_first=slab is None):
                answers = network(torch.stack([window for _, window in batch]))
                if tuple(answers.shape[2:]) != grid.window:
                    raise ValueError(
                        f'the network must answer a window of {grid.window} voxels with as many, got '
                        f'{tuple(answers.shape[2:])}: choose roi_size so that its strides divide it'
                    )
                if slab is None:
                    slab = self._slab(grid, answers)
                for (start, _), answer in zip(batch, answers, strict=True):
                    slab.add(start, answer)
            assert slab is not None, 'the first window is always shown'
            yield from slab.finish(stop)

    @torch.no_grad()
    def segment(
        self, volume: Tensor, network: WindowScorer, *, onto: GridMap | None = None, sinks: Sequence[PlaneSink] = ()
    ) -> Segmented:
        """The class of every voxel.

        Args:
            volume: (C, X, Y, Z).
            network: As in :meth:`stream`.
            onto: Another grid: scores are interpolated linearly there before the largest is taken; voxels outside the
                volume are background. None: the volume's own grid.
            sinks: Get the scores on that grid, plane by plane.

        Returns:
            Labels on that grid, and how many windows there were.
        """
        shape = tuple(volume.shape[1:])
        labels = LabelVolume(shape if onto is None else onto.shape)
        resampler = None if onto is None else PlaneResampler(onto, shape, labels, sinks)
        for planes in self.stream(volume, network):
            if resampler is not None:
                resampler.push(planes)
                continue
            labels.write(planes)
            for sink in sinks:
                sink.write(planes)
        return Segmented(labels.data, self.grid(shape).windows, self.skipped)

    def __call__(self, inputs: Tensor, network: WindowScorer) -> Tensor:
        """The scores of whole volumes, for whoever needs them all.

        Args:
            inputs: (N, C, X, Y, Z).
            network: As in :meth:`stream`.

        Returns:
            (N, K, X, Y, Z) scores.
        """
        volumes = []
        for volume in inputs:
            parts = [(planes.axis, planes.scores.clone()) for planes in self.stream(volume, network)]
            volumes.append(torch.cat([scores for _, scores in parts], dim=parts[0][0] + 1))
        return torch.stack(volumes)

    def _slab(self, grid: WindowGrid, answers: Tensor) -> Slab:
        importance = compute_importance_map(grid.window, mode=self.mode, sigma_scale=self.sigma_scale)
        device = answers.device if self.device is None else torch.device(self.device)
        return Slab(grid, answers.shape[1], importance, device=device, dtype=self.dtype)

    def _batches(
        self, volume: Tensor, grid: WindowGrid, starts: Sequence[Size3], *, keep_first: bool
    ) -> Iterator[list[tuple[Size3, Tensor]]]:
        """Windows that are shown to the network at once; the very first is kept, it tells the number of classes."""
        batch: list[tuple[Size3, Tensor]] = []
        for start in starts:
            window = self._cut(volume, grid, start)
            if self.air is not None and not keep_first and _is_constant(window, self.air):
                self.skipped += 1
                continue
            keep_first = False
            batch.append((start, window))
            if len(batch) == self.sw_batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _cut(self, volume: Tensor, grid: WindowGrid, start: Size3) -> Tensor:
        pads: list[int] = []
        ranges = []
        for first, side, size in zip(start, grid.window, grid.shape, strict=True):
            low, high = max(first, 0), min(first + side, size)
            ranges.append(slice(low, high))
            pads = [low - first, first + side - high, *pads]  # F.pad begins with the last axis
        window = volume[(slice(None), *ranges)]
        return F.pad(window, pads, value=self.cval) if any(pads) else window


def _is_constant(window: Tensor, value: float) -> bool:
    low, high = torch.aminmax(window)
    return bool(low == value) and bool(high == value)
