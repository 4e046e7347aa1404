"""The teacher's clock."""

from __future__ import annotations

import math
from typing import Any, Literal

from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.engine.unwrapped import unwrapped
from medctx3d.registry import HOOKS
from medctx3d.typing import HasTeacher


@HOOKS.register_module()
class EMATeacherHook(Hook):
    r"""Move the teacher towards the student after every optimiser step.

    The decay is a function of the Runner's iteration alone, so a resumed run continues exactly. With progress
    :math:`p` from 0 to 1 the cosine schedule is :math:`1 - (1 - d_0)\,(\cos \pi p + 1) / 2` for ``end_decay`` 1.

    Args:
        decay: Share of itself that the teacher keeps per step, at the start.
        end_decay: The same at the end.
        schedule: How to go from one to the other.
        interval: Optimiser steps between two updates. The published UNETR script updates once per epoch.
        period: Optimiser steps after which the schedule starts anew; None: it spans the whole training. The published
            nnFormer trainers restart theirs every epoch.
        warmup: ``adaptive`` lets a young teacher follow faster, with at most (1 + t) / (10 + t) after t steps, so
            that random initial weights are forgotten; ``none`` does not.

    Raises:
        ValueError: A decay outside 0..1, an unknown schedule or warmup, an interval below 1 or a period below 2.
    """

    priority = 'NORMAL'  # before LoggerHook and CheckpointHook, so that both see the moved teacher

    def __init__(
        self,
        decay: float = 0.996,
        end_decay: float = 1.0,
        *,
        schedule: Literal['constant', 'linear', 'cosine'] = 'cosine',
        interval: int = 1,
        period: int | None = None,
        warmup: Literal['none', 'adaptive'] = 'none',
    ) -> None:
        for name, value in (('decay', decay), ('end_decay', end_decay)):
            if not 0 <= value <= 1:
                raise ValueError(f'EMATeacherHook: {name} must lie in 0..1, got {value}')
        if schedule not in ('constant', 'linear', 'cosine'):
            raise ValueError(f"EMATeacherHook: schedule must be 'constant', 'linear' or 'cosine', got {schedule!r}")
        if warmup not in ('none', 'adaptive'):
            raise ValueError(f"EMATeacherHook: warmup must be 'none' or 'adaptive', got {warmup!r}")
        if interval < 1 or (period is not None and period < 2):
            raise ValueError(
                f'EMATeacherHook: interval must be 1 or more and period 2 or more, got {interval} and {period}'
            )
        self.decay = decay
        self.end_decay = end_decay
        self.schedule = schedule
        self.interval = interval
        self.period = period
        self.warmup = warmup

    def before_train(self, runner: Runner) -> None:
        """Prime the teacher, after weights were initialised, loaded or resumed.

        Raises:
            TypeError: The model has no teacher to move.
        """
        model = unwrapped(runner)
        if not isinstance(model, HasTeacher) or getattr(model, 'teacher', None) is None:
            raise TypeError(
                f"EMATeacherHook: {type(model).__name__} has no teacher: add teacher=dict(type='EMATeacher') to the "
                'model, or drop the hook from custom_hooks'
            )
        model.prime_teacher()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Update after a real optimiser step; micro-batches of an accumulation do not count."""
        wrapper = runner.optim_wrapper
        if not wrapper.should_update():
            return
        step = (runner.iter + 1) // wrapper._accumulative_counts
        if step % self.interval:
            return
        decay = self.decay_at(step, runner.max_iters // wrapper._accumulative_counts)
        unwrapped(runner).update_teacher(decay)
        runner.message_hub.update_scalar('train/teacher_decay', decay)

    def decay_at(self, step: int, max_steps: int) -> float:
        """Decay of the ``step``-th optimiser step (from 1) of ``max_steps``."""
        done, length = max(step - 1, 0), max_steps
        if self.period is not None:
            done, length = done % self.period, self.period
        progress = min(done / max(length - 1, 1), 1.0)
        if self.schedule == 'constant':
            decay = self.decay
        elif self.schedule == 'linear':
            decay = self.decay + (self.end_decay - self.decay) * progress
        else:
            decay = self.end_decay - (self.end_decay - self.decay) * (math.cos(math.pi * progress) + 1) / 2
        return min(decay, (1 + step) / (10 + step)) if self.warmup == 'adaptive' else decay
