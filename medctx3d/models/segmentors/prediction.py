"""From whole volumes to samples with predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from medctx3d.models.segmentors.postprocess import Step, postprocess
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.typing import PlaneSink, SegmentsVolumes, WindowScorer
from medctx3d.utils.geometry import grid_map

_CHOICES = dict(predict_with=('student', 'teacher'), resample=('scores', 'labels'))


class PredictionSettings(NamedTuple):
    """What ``test_cfg`` of a segmentor may say.

    Attributes:
        predict_with: ``student`` or ``teacher``.
        keep_logits: Whether samples keep the scores of the whole volume; prediction is then not streamed.
        resample: What a test brings to the grid of the file: ``labels``, by the nearest voxel, or ``scores``, by
            linear interpolation before the best class is taken.
    """

    predict_with: str = 'student'
    keep_logits: bool = False
    resample: str = 'scores'


def read_test_cfg(test_cfg: dict | None, *, has_teacher: bool) -> PredictionSettings:
    """Settings from a config.

    Raises:
        ValueError: An unknown key or value, or the teacher is to predict and there is none.
    """
    given = dict(test_cfg or {})
    unknown = sorted(set(given) - set(PredictionSettings._fields))
    if unknown:
        raise ValueError(f'test_cfg takes {", ".join(map(repr, PredictionSettings._fields))}, got {unknown}')
    settings = PredictionSettings(**given)
    for name, known in _CHOICES.items():
        if getattr(settings, name) not in known:
            choice = ' or '.join(map(repr, known))
            raise ValueError(f'test_cfg.{name} must be {choice}, got {getattr(settings, name)!r}')
    if settings.predict_with == 'teacher' and not has_teacher:
        raise ValueError("test_cfg.predict_with='teacher' needs teacher=dict(type='EMATeacher') in the model")
    return settings


@torch.no_grad()
def predict_volumes(
    inputs: Tensor,
    samples: list[VolumeDataSample],
    *,
    inferer: SegmentsVolumes | Callable[..., Tensor] | None,
    network: WindowScorer,
    postprocessing: Sequence[Step] = (),
    keep_logits: bool = False,
    on_source: bool = False,
    sinks: Sequence[PlaneSink] = (),
) -> list[VolumeDataSample]:
    """Segment whole volumes.

    Labels lie on the grid of the file if that is asked for, the inferer streams, and the file's axes are parallel to
    those of the volume; else on the working grid. ``pred_sem_seg.affine`` tells which.

    Args:
        inputs: (N, C, X, Y, Z).
        samples: N samples to complete.
        inferer: Streams if it can ``segment``; else it gives scores of whole volumes. None: one window.
        network: Windows to scores.
        postprocessing: Steps on the labels, on the grid they lie on.
        keep_logits: Also keep ``seg_logits`` of the working grid, which takes the memory of all scores at once.
        on_source: Interpolate scores on the file's grid.
        sinks: Get the scores on the grid of the labels.

    Raises:
        ValueError: There are sinks, but scores do not come in planes.
    """
    if not isinstance(inferer, SegmentsVolumes) or keep_logits:
        if sinks:
            raise ValueError(
                'scores can only be written by an inferer that streams, without test_cfg.keep_logits: use '
                f"model.inferer=dict(type='StreamedWindowInferer', ...), got {type(inferer).__name__}"
            )
        scores = network(inputs) if inferer is None else inferer(inputs, network)
        return _from_whole_scores(scores, samples, postprocessing, keep_logits)
    for volume, sample in zip(inputs, samples, strict=True):
        known = on_source and all(key in sample for key in ('affine', 'source_affine', 'source_shape'))
        onto = grid_map(sample.affine, sample.source_affine, sample.source_shape) if known else None
        found = inferer.segment(volume, network, onto=onto, sinks=sinks)
        meta = _meta(sample, 'affine' if onto is None else 'source_affine')
        labels = postprocess(postprocessing, found.labels[None], meta.get('affine'))
        sample.pred_sem_seg = VolumeData(data=labels, metainfo=meta)
        sample.set_metainfo(dict(windows=found.windows, skipped_windows=found.skipped))
    return samples


def _from_whole_scores(
    logits: Tensor, samples: list[VolumeDataSample], steps: Sequence[Step], keep: bool
) -> list[VolumeDataSample]:
    for scores, sample in zip(logits, samples, strict=True):
        meta = _meta(sample, 'affine')
        labels = postprocess(steps, scores.max(dim=0, keepdim=True).indices, meta.get('affine'))
        sample.pred_sem_seg = VolumeData(data=labels, metainfo=meta)
        if keep:
            sample.seg_logits = VolumeData(data=scores, metainfo=meta)
    return samples


def _meta(sample: VolumeDataSample, key: str) -> dict[str, Any]:
    return {'affine': sample.get(key)} if key in sample else {}
