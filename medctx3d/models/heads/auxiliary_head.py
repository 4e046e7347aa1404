"""The interface of an auxiliary objective."""

from __future__ import annotations

import abc
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Criterion, SegOutput, View


class AuxiliaryHead(BaseModule, abc.ABC):
    """One auxiliary objective: a view for the student and a score for its answer.

    A head never calls the network; the segmentor does, once per view. Parameters of a head train, must be used in
    every step, and are dropped when the network is published.

    Attributes:
        requires_teacher: Whether ``loss`` needs the teacher's answer.
        requires_decoded: Whether ``loss`` needs the decoder's features. The segmentor then builds the head with their
            number as ``in_channels``.
        ramp: Factor on the self-supervised terms, set by :class:`RampUpHook` before every step; 1 without the hook.
    """

    requires_teacher: bool = False
    requires_decoded: bool = False
    ramp: float = 1.0

    def make_view(self, inputs: Tensor, target: Tensor) -> View | None:
        """What the student sees; None: score its answer on the clean volume.

        Args:
            inputs: (N, C, X, Y, Z).
            target: (N, 1, X, Y, Z) class ids, -1 everywhere in a volume without truth.
        """
        return None

    def extras(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> dict[str, Any]:
        """Further arguments of a head's own ``loss``, such as region maps; none by default.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: N samples.
        """
        return {}

    @abc.abstractmethod
    def loss(
        self,
        *,
        student: SegOutput,
        taught: SegOutput | None,
        target: Tensor,
        view: View | None,
        criterion: Criterion,
    ) -> dict[str, Tensor]:
        """Score the student's answer.

        Args:
            student: The network's answer on the view.
            taught: The teacher's answer on the clean volume; None where the segmentor has no teacher.
            target: (N, 1, X, Y, Z) class ids, -1 everywhere in a volume without truth.
            view: What ``make_view`` returned.
            criterion: The segmentor's supervised criterion, ``criterion(logits, target) -> dict``; it scores the
                volumes with truth and passes over the others.

        Returns:
            Scalars. Names that start with ``loss`` are summed; others are only logged and must not contain ``loss``.
        """
