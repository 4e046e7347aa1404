"""The interface of a pretraining method."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from mmengine.model import BaseModel
from torch import Tensor, nn

from medctx3d.models.networks.embedding_net import EmbeddingNet
from medctx3d.models.networks.encoder_decoder import EncoderDecoder
from medctx3d.models.teachers.ema_teacher import EMATeacher
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import SegOutput, Terms
from medctx3d.utils.collapse import positions_as_rows
from medctx3d.utils.volume_header import VolumeError

REST_OF_NETWORK = {  # beside the backbone, as a config writes it
    EmbeddingNet: "projector=dict(type='Projector')",
    EncoderDecoder: 'decode_head=dict(type=..., num_classes=<channels of the image>)',
}


class SelfSupervisor(BaseModel, abc.ABC):
    """A network that learns from volumes without labels.

    Like a segmentor it owns its teacher's weights, and :class:`EMATeacherHook` the clock. The weights of the encoder
    are called ``network.backbone.*`` in every checkpoint of this project, whichever method trained it.

    Args:
        network: With a ``backbone``: an :class:`EmbeddingNet`, or an :class:`EncoderDecoder` where a decoder is
            pretrained too.
        teacher: Such as ``dict(type='EMATeacher')``; None where the method needs none.
        teacher_of: Submodule of the network that the teacher copies, such as ``projector``; empty: all of it.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.

    Attributes:
        network_type: The class of network whose answer the method reads.

    Raises:
        ValueError: The network is of another class, or has no submodule ``teacher_of``.
    """

    network_type: ClassVar[type[nn.Module]] = nn.Module

    def __init__(
        self,
        network: dict | nn.Module,
        *,
        teacher: dict | None = None,
        teacher_of: str = '',
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or dict(type='VolumePreprocessor')
        super().__init__(MODELS.build(preprocessor) if isinstance(preprocessor, dict) else preprocessor, init_cfg)
        self.network: nn.Module = MODELS.build(network) if isinstance(network, dict) else network
        if not isinstance(self.network, self.network_type):
            wanted = self.network_type.__name__
            raise ValueError(
                f'{type(self).__name__}: network must be an {wanted}, got {type(self.network).__name__}: set '
                f"network=dict(type='{wanted}', backbone=dict(type=...), {REST_OF_NETWORK[self.network_type]})"
            )
        if teacher_of and teacher_of not in dict(self.network.named_modules()):
            parts = ', '.join(name for name, _ in self.network.named_children())
            raise ValueError(
                f'{type(self).__name__}: teacher_of must name a part of the network ({parts}), got {teacher_of!r}'
            )
        self.teacher_of = teacher_of
        self.teacher: EMATeacher | None = None
        if teacher is not None:
            self.teacher = MODELS.build(teacher, default_args=dict(model=self.student))

    @property
    def student(self) -> nn.Module:
        """The part of the network that the teacher follows."""
        return self.network.get_submodule(self.teacher_of)

    def forward(self, inputs: Tensor, data_samples: list[VolumeDataSample] | None = None, mode: str = 'tensor') -> Any:
        """Mmengine's modes that a pretraining has.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: One per volume.
            mode: ``loss`` gives terms, ``tensor`` the encoder's features of the volumes as they are, without logits.

        Raises:
            ValueError: Another mode: without labels there is nothing to predict.
            VolumeError: The method cannot be shown volumes of this size; the message names the cases.
        """
        if mode == 'loss':
            try:
                return self.loss(inputs, data_samples or [])
            except VolumeError as error:  # views and crops see voxels alone
                cases = [str(sample.case) for sample in data_samples or [] if 'case' in sample]
                raise VolumeError(f'{", ".join(cases[:5])}: {error}' if cases else str(error)) from None
        if mode == 'tensor':
            backbone: Any = self.network.backbone
            return SegOutput(logits=(), features=tuple(backbone(inputs)))
        raise ValueError(
            f"{type(self).__name__}: mode must be 'loss' or 'tensor', got {mode!r}: a pretraining predicts no labels. "
            'Judge it by ProbeHook, and fine-tune it in a config of its own'
        )

    @abc.abstractmethod
    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The method.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: N samples; no labels are read.

        Returns:
            Scalars; mmengine sums those whose name contains ``loss``.
        """

    def embeddings(self, inputs: Tensor) -> Tensor:
        """The rows (M, D) whose spread tells whether the representation has collapsed.

        Args:
            inputs: (N, C, X, Y, Z).

        Returns:
            By default the deepest features at every position.
        """
        return positions_as_rows(self(inputs, mode='tensor').features[-1])

    def prime_teacher(self) -> None:
        """Copy the student if the teacher has taken no step yet; a teacher from a checkpoint is kept."""
        if self.teacher is not None and not self.teacher.primed:
            self.teacher.copy_from(self.student)

    def update_teacher(self, decay: float) -> None:
        """Move the teacher towards the student; called by :class:`EMATeacherHook` after an optimiser step."""
        if self.teacher is not None:
            self.teacher.update(self.student, decay)
