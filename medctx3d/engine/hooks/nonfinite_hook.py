"""The first NaN, before it spoils the weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import Optimizer

from medctx3d.engine.checkpoint_store import write_checkpoint
from medctx3d.engine.nonfinite import NonFiniteError, find_first, seed_step
from medctx3d.engine.unwrapped import unwrapped
from medctx3d.registry import HOOKS


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Look at loss and gradients before every optimiser step; a NaN or infinity stops the training or skips the step.

    At the first one the step is run again with every module watched, and the message names cases, draws and the first
    module that is not finite. Weights, batch and seeds go to ``nonfinite/iter_<n>_rank_<r>.pth`` in the work dir, from
    which ``tools/replay.py`` runs the step again. In float16 a gradient that overflows is the scaler's business: it
    skips the step and lowers its scale; only a loss that is not finite counts.

    The device is waited for twice a step, once for all gradients and once for all terms, however many there are.

    Args:
        policy: ``stop``, or ``skip`` to leave out the step and go on.
        most_skips: Steps in a row that may be skipped before the training stops all the same.

    Raises:
        ValueError: ``policy`` is neither of the two, or ``most_skips`` is below 1.
    """

    priority = 'HIGH'  # after the seeds are set, before logs and checkpoints

    def __init__(self, policy: Literal['stop', 'skip'] = 'stop', *, most_skips: int = 10) -> None:
        if policy not in ('stop', 'skip'):
            raise ValueError(f"NonFiniteHook: policy must be 'stop' or 'skip', got {policy!r}")
        if most_skips < 1:
            raise ValueError(f'NonFiniteHook: most_skips must be at least 1, got {most_skips}')
        self.policy = policy
        self.most_skips = most_skips
        self.skipped_in_a_row = 0
        self._runner: Runner | None = None
        self._batch: Any = None
        self._bad_step = False

    def before_train(self, runner: Runner) -> None:
        """Ask to be called before the optimiser changes a weight."""
        self._runner = runner
        runner.optim_wrapper.optimizer.register_step_pre_hook(self._judge_gradients)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep the batch until the step is judged."""
        self._batch = data_batch
        self._bad_step = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Look at the losses: those of a step that accumulates, or of one that a scaler left out."""
        terms = outputs or {}
        if terms and not self._bad_step and not all_finite(terms.values()):
            name, value = next((n, v) for n, v in terms.items() if not torch.isfinite(v).all())
            self._report(runner, f'the loss term {name} is {value.item()}')
        if not self._bad_step:
            self.skipped_in_a_row = 0
        self._batch = None

    def _judge_gradients(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        if not gradients or torch.isfinite(torch.stack(torch._foreach_norm(gradients)).sum()):
            return
        assert self._runner is not None, 'set before training'
        self._report(self._runner, 'a gradient is not finite')
        for group in optimizer.param_groups:
            for parameter in group['params']:
                parameter.grad = None  # an optimiser passes over such parameters

    def _report(self, runner: Runner, what: str) -> None:
        """Save, name, and stop unless the step may be skipped."""
        self._bad_step = True
        self.skipped_in_a_row += 1
        path, model = self._save(runner), unwrapped(runner)
        seed_step(runner.seed, runner.iter)
        context = runner.optim_wrapper.optim_context(runner.model)
        finding = find_first(model, self._batch['inputs'], self._batch['data_samples'], context)
        draws = ', '.join(f'{s.get("case")} (draw {s.get("draw")})' for s in self._batch['data_samples'])
        words = (
            f'iteration {runner.iter + 1}: {what}; cases {draws}; {finding}. To see it again: python tools/replay.py '
            f'CONFIG {path}'
        )
        if self.policy == 'stop' or self.skipped_in_a_row > self.most_skips:
            raise NonFiniteError(
                f'{words}. Usual causes: a learning rate too high, intensities that no transform scales, float16 '
                "where bfloat16 is to be had. To leave out such steps: default_hooks.nonfinite.policy='skip'"
            )
        print_log(f'{words}. The step is skipped', logger='current', level=30)

    def _save(self, runner: Runner) -> Path:
        path = Path(runner.work_dir, 'nonfinite', f'iter_{runner.iter + 1}_rank_{get_rank()}.pth')
        samples, model = self._batch['data_samples'], unwrapped(runner)
        content = dict(
            state_dict=model.state_dict(),
            ramps={name: head.ramp for name, head in getattr(model, 'auxiliary', {}).items()},
            autocast=str(getattr(runner.optim_wrapper, 'cast_dtype', None) or '').removeprefix('torch.'),
            seed=runner.seed,
            iter=runner.iter,
            inputs=list(self._batch['inputs']),
            labels=[sample.gt_sem_seg.data if 'gt_sem_seg' in sample else None for sample in samples],
            cases=[str(sample.get('case')) for sample in samples],
            draws=[int(sample.get('draw', -1)) for sample in samples],
        )
        write_checkpoint(content, path)
        return path


def all_finite(values: Iterable[Tensor]) -> bool:
    """Whether all values are, asked of their device in one go; a value on another device is brought to the first's."""
    answers = [torch.isfinite(value).all() for value in values]
    return bool(torch.stack([answer.to(answers[0].device, non_blocking=True) for answer in answers]).all())
