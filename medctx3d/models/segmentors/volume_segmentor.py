"""The model: a network, its criterion, and any number of auxiliary objectives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, get_args

from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.models.segmentors.auxiliary_checks import build_head, check_auxiliary
from medctx3d.models.segmentors.one_batch import answer_as_one_batch, refuse_batch_statistics
from medctx3d.models.segmentors.postprocess import Step, build_steps
from medctx3d.models.segmentors.prediction import predict_volumes, read_test_cfg
from medctx3d.models.segmentors.sequential_step import sequential_step
from medctx3d.models.segmentors.truth import batch_truth
from medctx3d.models.teachers.ema_teacher import EMATeacher
from medctx3d.registry import LOSSES, MODELS, TASK_UTILS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Objective, PlaneSink, SegOutput, Terms, View, WindowScorer

Passes = Literal['sum', 'sequential', 'concatenated']


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
        inferer: Such as ``dict(type='StreamedWindowInferer')``, or a MONAI inferer, for whole volumes; None: the
            network sees the volume at once.
        postprocessing: Steps on predicted labels, in this order, such as ``dict(type='FillHoles', classes=(1,))``.
        passes: How the student's passes of one step are run, with the same gradients. ``sum``: one after another, then
            one backward pass. ``sequential``: each with a backward pass of its own, in the memory of one.
            ``concatenated``: as one batch, for networks without statistics over the batch.
        test_cfg: See :class:`PredictionSettings`.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: An auxiliary head is no :class:`AuxiliaryHead`.
        ValueError: A head needs a teacher that is not there, ``passes`` is unknown or ``concatenated`` with BatchNorm,
            or ``test_cfg`` has an unknown key or value.
    """

    def __init__(
        self,
        network: dict | nn.Module,
        criterion: dict | nn.Module,
        *,
        auxiliary: dict[str, dict | nn.Module] | None = None,
        teacher: dict | None = None,
        inferer: dict | Any | None = None,
        postprocessing: Sequence[dict | Step] | None = None,
        passes: Passes = 'sum',
        test_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or dict(type='VolumePreprocessor')
        super().__init__(MODELS.build(preprocessor) if isinstance(preprocessor, dict) else preprocessor, init_cfg)
        self.network: nn.Module = MODELS.build(network) if isinstance(network, dict) else network
        self.criterion = LOSSES.build(criterion) if isinstance(criterion, dict) else criterion
        heads = {name: build_head(head, self.network) for name, head in (auxiliary or {}).items()}
        self.auxiliary = nn.ModuleDict(heads)
        self.teacher: EMATeacher | None = None
        if teacher is not None:
            self.teacher = MODELS.build(teacher, default_args=dict(model=self.network))
        self.inferer = TASK_UTILS.build(inferer) if isinstance(inferer, dict) else inferer
        self.postprocessing = build_steps(postprocessing)
        self.predict_with, self.keep_logits, self.resample = read_test_cfg(
            test_cfg, has_teacher=self.teacher is not None
        )
        self.scorer: WindowScorer | None = None  # set for prediction: mirrors, several networks
        check_auxiliary(heads, has_teacher=self.teacher is not None)
        if passes not in get_args(Passes):
            raise ValueError(f'VolumeSegmentor: passes must be one of {get_args(Passes)}, got {passes!r}')
        if passes == 'concatenated' and heads:
            refuse_batch_statistics(self.network)
        self.passes = passes

    def forward(self, inputs: Any, data_samples: list[VolumeDataSample] | None = None, mode: str = 'tensor') -> Any:
        """Mmengine's three modes, and one objective at a time.

        Args:
            inputs: (N, C, X, Y, Z); in mode ``objective`` one of :meth:`objectives`.
            data_samples: One per volume; needs truth in mode ``loss``.
            mode: ``loss`` gives loss terms, ``predict`` samples with predictions, ``tensor`` the :class:`SegOutput`,
                ``objective`` the terms of one pass, by way of a distributed wrapper's ``forward``.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        if mode == 'objective':
            return inputs()
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.network(inputs)
        raise ValueError(f"mode must be 'loss', 'objective', 'predict' or 'tensor', got {mode!r}")

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> Terms:
        """A step of mmengine, or with ``passes='sequential'`` a :func:`sequential_step`."""
        if self.passes == 'sequential':
            return sequential_step(self, data, optim_wrapper)
        return super().train_step(data, optim_wrapper)

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The terms of all objectives. Changes no state.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: N samples; those without ``gt_sem_seg`` count in the self-supervised terms alone.

        Returns:
            Scalars; mmengine sums those whose name contains ``loss``.

        Raises:
            ValueError: No sample has truth.
        """
        losses: Terms = {}
        for objective in self.objectives(inputs, data_samples):
            losses |= objective()
        return losses

    def objectives(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> list[Objective]:
        """The method, in the order of the paper's figure, cut into the passes of the student.

        Views and the teacher's answer, which carry no gradient, are made here, once; arguments are those of
        :meth:`loss`.

        Returns:
            The objective on the clean volume, then one per view. Each is to be called once, in this order; it runs one
            pass and answers with its terms.
        """
        target, supervised = batch_truth(inputs, data_samples, self.criterion)
        heads = dict(self._heads())
        views = {name: head.make_view(inputs, target) for name, head in heads.items()}
        extras = {name: head.extras(inputs, data_samples) for name, head in heads.items()}
        taught = None if self.teacher is None else self.teacher(inputs)  # no gradient
        if taught is not None and not any(head.requires_decoded for head in heads.values()):
            taught = taught._replace(decoded=None)  # as large as the finest feature, and nobody would read it
        shown = {name: view for name, view in views.items() if view is not None}
        students = self._students(inputs, list(shown.values()))

        def score(name: str, student: SegOutput) -> Terms:
            terms = heads[name].loss(
                student=student, taught=taught, target=target, view=views[name], criterion=supervised, **extras[name]
            )
            return {f'{name}.{key}': value for key, value in terms.items()}

        def on_clean() -> Terms:
            clean = next(students)
            losses = dict(supervised(clean.logits, target))
            for name, view in views.items():
                if view is None:
                    losses |= score(name, clean)
            return losses

        def on_view(name: str) -> Terms:
            return score(name, next(students))

        return [on_clean, *(partial(on_view, name) for name in shown)]

    def _students(self, inputs: Tensor, views: Sequence[View]) -> Iterator[SegOutput]:
        """The student's answer on the clean volume, then on each view."""
        if self.passes == 'concatenated' and views:
            yield from answer_as_one_batch(self.network, inputs, views)
            return
        yield self.network(inputs)
        for view in views:
            yield self.network(view.inputs, view.token_mask)

    def test_step(self, data: Any) -> list[VolumeDataSample]:
        """Mmengine's, with labels on the grids of the files where ``test_cfg.resample`` is ``scores``."""
        return self.predict(**self.data_preprocessor(data, False), on_source=self.resample == 'scores')

    def predict(
        self,
        inputs: Tensor,
        data_samples: list[VolumeDataSample] | None = None,
        *,
        on_source: bool = False,
        sinks: Sequence[PlaneSink] = (),
    ) -> list[VolumeDataSample]:
        """Segment whole volumes; see :func:`predict_volumes`.

        Args:
            inputs: (N, C, X, Y, Z).
            data_samples: N samples to complete, or None.
            on_source: Bring scores to the grids of the files, and take the best class there, where that can be done.
            sinks: Get the scores plane by plane.

        Returns:
            N samples with ``pred_sem_seg.data`` (1, X, Y, Z) integer class ids on the grid that its ``affine`` tells,
            and ``seg_logits`` if kept.
        """
        return predict_volumes(
            inputs,
            [VolumeDataSample() for _ in inputs] if data_samples is None else data_samples,
            inferer=self.inferer,
            network=self.scorer or partial(_first_logits, self.answering_network),
            postprocessing=self.postprocessing,
            keep_logits=self.keep_logits,
            on_source=on_source,
            sinks=sinks,
        )

    @property
    def answering_network(self) -> nn.Module:
        """The network that ``test_cfg.predict_with`` names."""
        if self.teacher is not None and self.predict_with == 'teacher':
            return self.teacher
        return self.network

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
