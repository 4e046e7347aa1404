"""The pretrained weights that a training begins with, judged before volumes are prepared."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from torch import nn

from medctx3d.apis.leakage import leaks, refuse_leaks
from medctx3d.engine.weights import CoverageError, manifest_of, pretrained_parts


def settle_pretrained(config: Config, model: nn.Module) -> list[str]:
    """Refuse pretrained weights that do not fit, or whose training saw what is scored here.

    Of weights that do not fit, the whole report is printed. The checkpoint in ``load_from`` is asked for its images
    too.

    Args:
        config: Its val and test splits are compared with the images of the pretraining.
        model: Of the config, on any device.

    Returns:
        Sentences for the user, one or two per file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: See :func:`~medctx3d.engine.weights.load_pretrained` (:class:`CheckpointError` is one), and
            :class:`~medctx3d.apis.leakage.LeakageError`.
    """
    told = []
    for module, pretrained in pretrained_parts(model):
        if not Path(pretrained.checkpoint).expanduser().is_file():
            raise FileNotFoundError(
                f'init_cfg.checkpoint {pretrained.checkpoint} does not exist: run its pretraining first, or name '
                'another file there (the shipped fine-tuning configs take the variable PRETRAINED)'
            )
        try:
            told.append(f'pretrained weights: {pretrained.examine(module).summary()}')
        except CoverageError as error:
            error.report.show()
            raise
        told.append(_settle_leakage(config, pretrained.checkpoint, allowed=pretrained.allow_leakage))
    if config.get('load_from'):
        told.append(_settle_leakage(config, config.load_from, allowed=False))
    return told


def _settle_leakage(config: Config, checkpoint: str | Path, *, allowed: bool) -> str:
    seen = manifest_of(checkpoint)
    if seen is None:
        return f'{checkpoint} does not say which images it was trained on: nobody knows whether one is scored here'
    shared = leaks(seen, config)
    if not allowed:
        refuse_leaks(shared, checkpoint)
    count = sum(map(len, shared.values()))
    return f'{count} of the {len(seen)} images of the pretraining are scored here' + (
        ', which allow_leakage=True allows' if count else ''
    )
