"""The model: a network, its criterion, and any number of auxiliary objectives."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.models.teachers.ema_teacher import EMATeacher
from medctx3d.registry import HEADS, LOSSES, MODELS, TASK_UTILS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.typing import Criterion

_PREDICTORS = ('student', 'teacher')


@MODELS.register_module()
class VolumeSegmentor(BaseModel):
    """A network, its criterion, and any number of auxiliary objectives.

    ``network`` is the one object that is deployed, and the one that the teacher copies. The segmentor owns the
    teacher's weights; :class:`EMATeacherHook` owns the clock. ``loss`` changes nothing.

    Args:
        network: Volume to :class:`SegOutput`.
        criterion: ``criterion(logits, target) -> dict`` of supervised terms.
        auxiliary: Auxiliary heads by name; the name prefixes their terms in the log.
        teacher: Such as ``dict(type='EMATeacher')``; needed by heads that follow one.
        inferer: MONAI inferer for whole volumes; None: the network sees the volume at once.
        test_cfg: ``predict_with`` (``student`` or ``teacher``) and ``keep_logits`` (bool).
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: An auxiliary head is no :class:`AuxiliaryHead`.
        ValueError: A head needs a teacher that is not there, or ``test_cfg`` has an unknown key or value.
    """

    def __init__(
        self,
        network: dict | nn.Module,
        criterion: dict | nn.Module,
        *,
        auxiliary: dict[str, dict | nn.Module] | None = None,
        teacher: dict | None = None,
        inferer: dict | Any | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or dict(type='VolumePreprocessor')
        super().__init__(MODELS.build(preprocessor) if isinstance(preprocessor, dict) else preprocessor, init_cfg)
        self.network: nn.Module = MODELS.build(network) if isinstance(network, dict) else network
        self.criterion = LOSSES.build(criterion) if isinstance(criterion, dict) else criterion
        heads = {
            name: HEADS.build(head) if isinstance(head, dict) else head for name, head in (auxiliary or {}).items()
        }
        self.auxiliary = nn.ModuleDict(heads)
        self.teacher: EMATeacher | None = None
        if teacher is not None:
            self.teacher = MODELS.build(teacher, default_args=dict(model=self.network))
        self.inferer = TASK_UTILS.build(inferer) if isinstance(inferer, dict) else inferer
        self.predict_with, self.keep_logits = _read_test_cfg(test_cfg, has_teacher=self.teacher is not None)
        for name, head in heads.items():
            if not isinstance(head, AuxiliaryHead):
                raise TypeError(f'auxiliary head {name!r} must be an AuxiliaryHead, got {type(head).__name__}')
            if head.requires_teacher and self.teacher is None:
                raise ValueError(
                    f'auxiliary head {name!r} ({type(head).__name__}) follows a teacher, but the model has none: '
                    "add teacher=dict(type='EMATeacher') to the model"
                )

    def forward(self, inputs: Tensor, data_samples: list[VolumeDataSample] | None = None, mode: str = 'tensor') -> Any:
        """Mmengine's three modes.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: One per volume; needs truth in mode ``loss``.
            mode: ``loss`` gives loss terms, ``predict`` samples with predictions, ``tensor`` the :class:`SegOutput`.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.network(inputs)
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> dict[str, Tensor]:
        """The method, in the order of the paper's figure. Changes no state.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: N samples; those without ``gt_sem_seg`` count in the self-supervised terms alone.

        Returns:
            Scalars; mmengine sums those whose name contains ``loss``.

        Raises:
            ValueError: No sample has truth.
        """
        target, supervised = self._truth(inputs, data_samples)
        clean = self.network(inputs)
        losses = dict(supervised(clean.logits, target))
        taught = None if self.teacher is None else self.teacher(inputs)  # no gradient
        for name, head in self._heads():
            view = head.make_view(inputs, target)
            student = clean if view is None else self.network(view.inputs, view.token_mask)
            terms = head.loss(student=student, taught=taught, target=target, view=view, criterion=supervised)
            losses |= {f'{name}.{key}': value for key, value in terms.items()}
        return losses

    @torch.no_grad()
    def predict(self, inputs: Tensor, data_samples: list[VolumeDataSample] | None = None) -> list[VolumeDataSample]:
        """Segment whole volumes.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: N samples to complete, or None.

        Returns:
            N samples with ``pred_sem_seg.data`` (1, X, Y, Z) int64 on the working grid, and ``seg_logits`` if kept.
        """
        if data_samples is None:
            data_samples = [VolumeDataSample() for _ in inputs]
        network = self.teacher if self.teacher is not None and self.predict_with == 'teacher' else self.network
        answer = partial(_first_logits, network)
        logits = answer(inputs) if self.inferer is None else self.inferer(inputs, answer)
        for scores, sample in zip(logits, data_samples, strict=True):
            meta = {'affine': sample.affine} if 'affine' in sample else {}
            sample.pred_sem_seg = VolumeData(data=scores.max(dim=0, keepdim=True).indices, metainfo=meta)
            if self.keep_logits:
                sample.seg_logits = VolumeData(data=scores, metainfo=meta)
        return data_samples

    def _truth(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> tuple[Tensor, Criterion]:
        """Class ids (N, 1, X, Y, Z), -1 all over a volume without truth, and the criterion of those that have it."""
        labelled = [index for index, sample in enumerate(data_samples) if 'gt_sem_seg' in sample]
        if not labelled:
            raise ValueError(
                'no volume of the batch has a label, so there is nothing to supervise: put a labelled volume into '
                "every batch, with sampler=dict(type='MixedSampler', labelled=1, unlabelled=1) in train_dataloader "
                'and a batch_size that is a multiple of their sum'
            )
        if len(labelled) == len(data_samples):
            return torch.stack([sample.gt_sem_seg.data for sample in data_samples]).long(), self.criterion
        target = inputs.new_full((len(inputs), 1, *inputs.shape[2:]), -1, dtype=torch.long)
        for index in labelled:
            target[index] = data_samples[index].gt_sem_seg.data

        def supervised(logits: tuple[Tensor, ...], target: Tensor) -> dict[str, Tensor]:
            return self.criterion(tuple(level[labelled] for level in logits), target[labelled])

        return target, supervised

    def _heads(self) -> Iterator[tuple[str, AuxiliaryHead]]:
        for name, head in self.auxiliary.items():
            assert isinstance(head, AuxiliaryHead), 'checked in the constructor'
            yield name, head

    def prime_teacher(self) -> None:
        """Copy the student if the teacher has taken no step yet; a teacher from a checkpoint is kept."""
        if self.teacher is not None and not self.teacher.primed:
            self.teacher.copy_from(self.network)

    def ramp_auxiliary(self, name: str, factor: float) -> None:
        """Weigh the self-supervised terms of an auxiliary head; called by :class:`RampUpHook` before a step.

        Raises:
            KeyError: There is no auxiliary head of that name.
        """
        dict(self._heads())[name].ramp = factor

    def update_teacher(self, decay: float) -> None:
        """Move the teacher towards the student; called by :class:`EMATeacherHook` after an optimiser step."""
        if self.teacher is not None:
            self.teacher.update(self.network, decay)


def _first_logits(network: nn.Module, inputs: Tensor) -> Tensor:
    return network(inputs).logits[0]


def _read_test_cfg(test_cfg: dict | None, *, has_teacher: bool) -> tuple[str, bool]:
    settings = dict(test_cfg or {})
    predict_with = settings.pop('predict_with', 'student')
    keep_logits = bool(settings.pop('keep_logits', False))
    if settings:
        raise ValueError(f"test_cfg takes 'predict_with' and 'keep_logits', got {sorted(settings)}")
    if predict_with not in _PREDICTORS:
        raise ValueError(f"test_cfg.predict_with must be 'student' or 'teacher', got {predict_with!r}")
    if predict_with == 'teacher' and not has_teacher:
        raise ValueError("test_cfg.predict_with='teacher' needs teacher=dict(type='EMATeacher') in the model")
    return predict_with, keep_logits
