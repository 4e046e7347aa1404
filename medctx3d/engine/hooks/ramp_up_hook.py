"""The clock of a self-supervised term's weight."""

from __future__ import annotations

import math
from typing import Any, Literal

from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.engine.unwrapped import unwrapped
from medctx3d.registry import HOOKS
from medctx3d.typing import HasAuxiliary


@HOOKS.register_module()
class RampUpHook(Hook):
    r"""Let the self-supervised terms of an auxiliary head grow from 0 to their weight.

    Early on the teacher knows as little as the student. The factor is a function of the Runner's iteration alone, so a
    resumed run continues exactly. With progress :math:`p` through the ramp, ``linear`` is :math:`p` and ``sigmoid`` is
    :math:`\exp(-5 (1 - p)^2)` (Laine and Aila, arXiv 1610.02242, equation in section 2.1).

    Args:
        head: Name of the auxiliary head in ``model.auxiliary``.
        share: Length of the ramp, as a fraction of all iterations, in (0, 1].
        shape: ``sigmoid`` or ``linear``.

    Raises:
        ValueError: A share out of range, or an unknown shape.
    """

    def __init__(
        self, head: str = 'medcontext', *, share: float = 0.1, shape: Literal['sigmoid', 'linear'] = 'sigmoid'
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f'RampUpHook: share must lie in (0, 1], got {share}')
        if shape not in ('sigmoid', 'linear'):
            raise ValueError(f"RampUpHook: shape must be 'sigmoid' or 'linear', got {shape!r}")
        self.head = head
        self.share = share
        self.shape = shape

    def before_train(self, runner: Runner) -> None:
        """Find the head before the first step.

        Raises:
            TypeError: The model has no auxiliary heads.
            ValueError: It has none of that name.
        """
        model = unwrapped(runner)
        if not isinstance(model, HasAuxiliary):
            raise TypeError(
                f'RampUpHook: {type(model).__name__} has no auxiliary heads; drop the hook from custom_hooks'
            )
        names = list(getattr(model, 'auxiliary', {}))
        if self.head not in names:
            raise ValueError(
                f'RampUpHook: the model has no auxiliary head {self.head!r}, it has {names or "none"}: set head=, or '
                'drop the hook from custom_hooks'
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the factor of this step."""
        factor = self.factor_at(runner.iter, runner.max_iters)
        unwrapped(runner).ramp_auxiliary(self.head, factor)
        runner.message_hub.update_scalar(f'train/{self.head}.ramp', factor)

    def factor_at(self, iteration: int, max_iters: int) -> float:
        """Factor of the iteration (from 0) of ``max_iters``."""
        progress = min(iteration / max(self.share * max_iters, 1), 1.0)
        return progress if self.shape == 'linear' else math.exp(-5 * (1 - progress) ** 2)
