"""The moving average of the student."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from medctx3d.registry import MODELS

Precision = Literal['bfloat16', 'float16']


@MODELS.register_module()
class EMATeacher(nn.Module):
    """Frozen moving average of the student network, by default in eval mode whatever its parent does.

    Parameters are averaged; buffers (such as BatchNorm statistics) are copied from the student at every step, so the
    teacher never owns statistics. ``steps`` counts the copy and the updates and travels in the checkpoint: 0 means
    that the teacher was never given the student's weights.

    Args:
        model: The student network; a deep copy is made.
        always_eval: False lets the teacher's dropout and stochastic depth blur its targets in training, as in the
            published nnFormer trainers.
        precision: Answer in ``bfloat16`` or ``float16`` autocast, whatever the student computes in; weights and their
            average stay as they are. It saves up to half of the teacher's time on devices that have the format. None:
            as the student.

    Raises:
        ValueError: An unknown ``precision``.
    """

    steps: Tensor

    def __init__(self, model: nn.Module, *, always_eval: bool = True, precision: Precision | None = None) -> None:
        super().__init__()
        if precision is not None and precision not in get_args(Precision):
            raise ValueError(f'EMATeacher: precision must be one of {get_args(Precision)} or None, got {precision!r}')
        self.always_eval = always_eval
        self.precision = None if precision is None else getattr(torch, precision)
        self.module = deepcopy(model).requires_grad_(False)
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        self.eval()

    def train(self, mode: bool = True) -> EMATeacher:
        """Stay in eval mode, unless told otherwise: targets must not be blurred by dropout or stochastic depth."""
        return super().train(mode and not self.always_eval)

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Any:
        """The network's answer on (N, C, X, Y, Z), or on what else it takes, without gradient.

        Raises:
            RuntimeError: The teacher never received the student's weights.
        """
        if not self.primed:
            raise RuntimeError(
                "the teacher never received the student's weights: add custom_hooks=[dict(type='EMATeacherHook')] to "
                'the config, or call model.prime_teacher() in a loop of your own'
            )
        if self.precision is None:
            return self.module(inputs)
        with torch.autocast(inputs.device.type, dtype=self.precision):
            return self.module(inputs)

    @property
    def primed(self) -> bool:
        """Whether the student was copied at least once; also true after loading a checkpoint of such a teacher."""
        if not self._primed:
            # one host synchronisation in the life of the teacher; without content, shapes alone are asked for
            self._primed = self.steps.is_meta or bool(self.steps > 0)
        return self._primed

    _primed = False

    @torch.no_grad()
    def copy_from(self, student: nn.Module) -> None:
        """Become the student; counts as a step."""
        mine, theirs = self._pairs(student)
        torch._foreach_copy_(mine, theirs)
        self._finish(student)

    @torch.no_grad()
    def update(self, student: nn.Module, decay: float) -> None:
        """One step: weight = decay * weight + (1 - decay) * student, all tensors in one fused call."""
        mine, theirs = self._pairs(student)
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)
        self._finish(student)

    def _pairs(self, student: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        return list(self.module.parameters()), [weight.detach() for weight in student.parameters()]

    def _finish(self, student: nn.Module) -> None:
        for buffer, source in zip(self.module.buffers(), student.buffers(), strict=True):
            buffer.copy_(source)
        self.steps += 1
