"""The interface of an auxiliary objective."""

from __future__ import annotations

import abc
from typing import ClassVar

from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.typing import SegOutput, View


class AuxiliaryHead(BaseModule, abc.ABC):
    """One auxiliary objective: a view for the student and a score for its answer.

    A head never calls the network; the segmentor does, once per view. Parameters of a head train, must be used in
    every step, and are dropped when the network is published.
    """

    requires_teacher: ClassVar[bool] = False

    def make_view(self, inputs: Tensor) -> View | None:
        """What the student sees of ``inputs`` (N, C, X, Y, Z); None: score its answer on the clean volume."""
        return None

    @abc.abstractmethod
    def loss(
        self,
        *,
        student: SegOutput,
        taught: SegOutput | None,
        target: Tensor,
        view: View | None,
        criterion: nn.Module,
    ) -> dict[str, Tensor]:
        """Score the student's answer.

        Args:
            student: The network's answer on the view.
            taught: The teacher's answer on the clean volume; None where the segmentor has no teacher.
            target: (N, 1, X, Y, Z) class ids.
            view: What ``make_view`` returned.
            criterion: The segmentor's supervised criterion, ``criterion(logits, target) -> dict``.

        Returns:
            Scalars. Names that start with ``loss`` are summed; others are only logged and must not contain ``loss``.
        """
