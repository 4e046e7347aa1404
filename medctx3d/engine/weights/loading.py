"""Pretrained weights into a network: recognised, fitted, reported; refused unless they cover what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.model import update_init_info
from torch import Tensor, nn

from medctx3d.engine.checkpoint import CheckpointError, check_finite
from medctx3d.engine.weights.fitting import Part, Target, fit, target_of
from medctx3d.engine.weights.merge_order import check_merge_order
from medctx3d.engine.weights.report import WeightsReport
from medctx3d.engine.weights.source import Source, WeightsOf, read_source
from medctx3d.registry import WEIGHT_INITIALIZERS

MIN_COVERAGE = 1.0


class CoverageError(CheckpointError):
    """Weights that leave more of a network without than was allowed.

    Attributes:
        report: What became of every tensor.
    """

    def __init__(self, message: str, report: WeightsReport) -> None:
        super().__init__(message)
        self.report = report


def load_pretrained(
    model: nn.Module,
    checkpoint: str | Path,
    *,
    part: Part = 'encoder_decoder',
    source: str = 'auto',
    weights_of: WeightsOf | None = None,
    min_coverage: float = MIN_COVERAGE,
    patch_merging: str | None = None,
    leave_out: Sequence[str] = (),
    interpolate: bool = False,
) -> WeightsReport:
    """Give a model pretrained weights, of this package or another; also known as ``medctx3d.load_weights``.

    All checks come before the first tensor is written: a refused file leaves the model as it was.

    Args:
        model: A segmentor, a network, a backbone, or a self-supervised model.
        checkpoint: A file of one of the :data:`~medctx3d.engine.weights.namings.NAMINGS`.
        part: ``encoder``, or ``encoder_decoder`` for the whole network.
        source: The file's naming; ``auto``: by its names.
        weights_of: ``student`` or ``teacher``, for files that hold both.
        min_coverage: Smallest share of the part that the file must fill, see :meth:`WeightsReport.coverage`.
        patch_merging: Order of patch merging that the weights were trained with, where the file does not say.
        leave_out: Names of the network that start anew, see :func:`~medctx3d.engine.weights.fit`.
        interpolate: Bring tables of positions from another grid to this one.

    Returns:
        What became of every tensor.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: An argument is no known name.
        CheckpointError: The file is damaged, holds code, or is not recognised; its patches are merged in another
            order; or weights are not finite.
        CoverageError: It fills too little of the network.
    """
    found = read_source(checkpoint, source=source, weights_of=weights_of)
    target = target_of(model)
    weights, report = examine(
        found,
        target,
        part=part,
        min_coverage=min_coverage,
        patch_merging=patch_merging,
        leave_out=leave_out,
        interpolate=interpolate,
    )
    try:
        target.module.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # layers may judge their weights themselves, as those of PCT-Net do
        raise CheckpointError(f'{found.path} is refused by the network, which is to be built anew: {error}') from error
    return report


def examine(
    source: Source,
    target: Target,
    *,
    part: Part,
    min_coverage: float,
    patch_merging: str | None = None,
    leave_out: Sequence[str] = (),
    interpolate: bool = False,
) -> tuple[dict[str, Tensor], WeightsReport]:
    """:func:`fit`, refused where the file fills too little or was trained with another order of patch merging.

    Raises:
        ValueError: ``min_coverage`` is no share, or an argument contradicts the file.
        CheckpointError: As :func:`load_pretrained`.
    """
    if not 0 <= min_coverage <= 1:
        raise ValueError(f'min_coverage must lie in 0..1, got {min_coverage}')
    weights, report = fit(source, target, part=part, leave_out=leave_out, interpolate=interpolate)
    if not report.of('matched', 'renamed', 'reshaped') or report.coverage() < min_coverage:
        raise CoverageError(_too_little(report, min_coverage), report)
    if any('downsample.reduction' in name for name in weights):
        stated = source.facts.get('patch_merging')
        if stated and patch_merging and stated != patch_merging:
            raise ValueError(
                f'patch_merging={patch_merging!r} contradicts {source.path}, which was trained with {stated!r}: leave '
                'it out'
            )
        check_merge_order(target.module, stated or patch_merging, source.path)
    check_finite(weights, str(source.path))
    return weights, report


@WEIGHT_INITIALIZERS.register_module()
class PretrainedWeights:
    """Start a network, or a part of it, from pretrained weights: one line of ``init_cfg``.

    mmengine's ``Pretrained`` loads what happens to fit and logs the rest; a file of another network then loads nothing
    and training begins from noise. This refuses instead.

    Args:
        checkpoint: The file.
        part: ``encoder``, or ``encoder_decoder`` for the whole network.
        source: The file's naming; ``auto``: by its names.
        weights_of: ``student`` or ``teacher``, for files that hold both.
        min_coverage: Smallest share of the part that the file must fill.
        patch_merging: Order of patch merging that the weights were trained with, where the file does not say.
        leave_out: Names of the network that start anew, see :func:`~medctx3d.engine.weights.fit`.
        interpolate: Bring tables of positions from another grid to this one.
        allow_leakage: Train although images of the pretraining are scored here.
    """

    def __init__(
        self,
        checkpoint: str,
        *,
        part: Part = 'encoder',
        source: str = 'auto',
        weights_of: WeightsOf | None = None,
        min_coverage: float = MIN_COVERAGE,
        patch_merging: str | None = None,
        leave_out: Sequence[str] = (),
        interpolate: bool = False,
        allow_leakage: bool = False,
    ) -> None:
        self.checkpoint = Path(checkpoint).expanduser()
        self.part: Part = part
        self.source, self.weights_of = source, weights_of
        self.min_coverage, self.patch_merging = min_coverage, patch_merging
        self.leave_out, self.interpolate = tuple(leave_out), interpolate
        self.allow_leakage = allow_leakage

    def __call__(self, module: nn.Module) -> None:
        """Load into a module of mmengine's that is being initialised.

        mmengine initialises children after the module itself, and would overwrite what was loaded (of its own
        initialisers it knows that ``Pretrained`` goes last): they get their turn here, before.
        """
        child: Any
        for child in module.children():
            if hasattr(child, 'init_weights') and not getattr(child, 'is_init', False):
                child.init_weights()
                child.is_init = True
        report = load_pretrained(
            module,
            self.checkpoint,
            part=self.part,
            source=self.source,
            weights_of=self.weights_of,
            min_coverage=self.min_coverage,
            patch_merging=self.patch_merging,
            leave_out=self.leave_out,
            interpolate=self.interpolate,
        )
        print_log(f'pretrained weights: {report.summary()}', logger='current')
        for entry in report.of('new', 'missing', 'unused'):
            name = entry.target or entry.source
            print_log(f'pretrained weights: {entry.kind}: {name} {entry.note}'.rstrip(), logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'PretrainedWeights: {self.checkpoint}')

    def examine(self, module: nn.Module) -> WeightsReport:
        """Judge names and shapes, without reading values and without loading; raises as :func:`load_pretrained`."""
        source = read_source(self.checkpoint, source=self.source, weights_of=self.weights_of, map_location='meta')
        _, report = examine(
            source,
            target_of(module),
            part=self.part,
            min_coverage=self.min_coverage,
            patch_merging=self.patch_merging,
            leave_out=self.leave_out,
            interpolate=self.interpolate,
        )
        return report


def _too_little(report: WeightsReport, min_coverage: float) -> str:
    missing, lost = report.of('missing'), [entry for entry in report.entries if entry.lost]
    parts = [f'{report.summary()}, and {min_coverage:.1%} is asked for.']
    if missing:
        names = [f'{entry.target} ({entry.note})' if entry.note else entry.target for entry in missing]
        parts.append(f'Without weights are {len(names)} tensors: {_few(names)}.')
    if lost:
        parts.append(f'Without a place in the network are {len(lost)} tensors: {_few([one.source for one in lost])}.')
    if any('layers1c.' in entry.source for entry in lost):
        parts.append("The file is of Swin UNETR-V2: set use_v2=True in the backbone's config.")
    elif any('layers1c.' in entry.target for entry in missing):
        parts.append('The file is of Swin UNETR v1: leave out use_v2.')
    parts.append(
        'If the file is meant for this network, allow less with min_coverage= (--min-coverage); else use the config '
        'of its network'
    )
    return ' '.join(parts)


def _few(names: list[str]) -> str:
    return ', '.join(names[:4]) + (', ...' if len(names) > 4 else '')
