"""Does a training beat an answer that knows nothing?"""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from medctx3d.registry import HOOKS


@HOOKS.register_module()
class TrivialFloorHook(Hook):
    """Warn where a logged value stays at the floor that an answer without knowledge would reach.

    A loss falls from its start to that floor by itself and may rest there for good: the constant similarity of VoCo,
    the mean of the visible voxels for a masked autoencoder. The model logs value and floor at every iteration; this
    hook compares their means over ``window`` iterations. It warns once, and says so when the value has come below.

    Args:
        value: Name of the logged value, such as ``prediction``.
        floor: Name of the logged floor, such as ``floor_constant``.
        interval: Iterations between two comparisons, and how many the means are over.
        after: First iteration that may warn: every training begins above the floor.
        margin: Share of the floor by which the value must be below it.

    Raises:
        ValueError: An interval below 1, or a margin outside 0..1.
    """

    priority = 'NORMAL'

    def __init__(
        self, value: str, floor: str, *, interval: int = 100, after: int = 1000, margin: float = 0.02
    ) -> None:
        if interval < 1 or not 0 <= margin < 1:
            raise ValueError(
                f'TrivialFloorHook: interval must be 1 or more and margin in 0..1, got {interval} and {margin}'
            )
        self.value = value
        self.floor = floor
        self.interval = interval
        self.after = after
        self.margin = margin
        self.warned = False
        self.passed = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Compare, where it is time.

        Raises:
            KeyError: The model does not log one of the two.
        """
        if self.passed or not self.every_n_train_iters(runner, self.interval):
            return
        logged = runner.message_hub.log_scalars
        missing = [name for name in (self.value, self.floor) if f'train/{name}' not in logged]
        if missing:
            shown = sorted(name.removeprefix('train/') for name in logged if name.startswith('train/'))
            raise KeyError(f'TrivialFloorHook: the model logs no {", ".join(missing)}; it logs {", ".join(shown)}')
        value, floor = (float(logged[f'train/{name}'].mean(self.interval)) for name in (self.value, self.floor))
        where = f'iteration {runner.iter + 1}: {self.value} is {value:.4f}, {self.floor} {floor:.4f}'
        if value < floor * (1 - self.margin):
            self.passed = True
            print_log(f'{where}: better than an answer without knowledge', logger='current')
        elif runner.iter + 1 >= self.after and not self.warned:
            self.warned = True
            print_log(
                f'{where}: an answer that knows nothing about the volume would score as well, so nothing useful has '
                'been learnt yet. Usual remedies: a teacher, a lower learning rate with warm-up, full precision, more '
                'volumes per batch',
                logger='current',
                level=30,
            )
