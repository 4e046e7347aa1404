"""Pretrained weights with their passport: what they are, how they were made, and on which images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from medctx3d.engine.weights import Source, Target, WeightsReport, merge_order
from medctx3d.export.description import as_text, preparation
from medctx3d.utils.data_manifest import SeenImage, as_rows
from medctx3d.utils.weights_file import file_digest, weights_digest, write_weights
from medctx3d.version import __version__

STATED = ('method', 'data', 'spacing', 'orientation', 'window', 'intensity', 'licence')
NOT_STATED = 'not stated'


def passport(
    source: Source,
    report: WeightsReport,
    config: Config,
    *,
    network: nn.Module,
    images: Sequence[SeenImage] | None = None,
    stated: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The facts that travel in the header of converted weights.

    Args:
        source: The file that was read.
        report: What became of its tensors.
        config: Of the network that they were converted to.
        network: It.
        images: Of the pretraining; None: unknown.
        stated: What the user says of the pretraining; goes before what the file says of itself.

    Returns:
        ``architecture`` (config of the network), ``patch_merging``, each of :data:`STATED` (``not stated`` where
        nobody says it), ``data_manifest``, and of the source its file, SHA-256, naming and coverage.
    """
    known = dict(source.facts)
    trained = known.pop('config', None)
    if trained:  # a checkpoint of this package carries the config it was trained with
        known |= _from_config(Config(trained))
    facts = {**known, **(stated or {})}
    order = merge_order(network)
    found: dict[str, Any] = dict(
        architecture=config.model.get('network', config.model).to_dict(),
        **({} if order is None else {'patch_merging': order}),
        **{key: facts.get(key) or NOT_STATED for key in STATED},
        source_file=source.path.name,
        source_sha256=file_digest(source.path),
        naming=source.naming.name,
        network_in_source=source.prefix,
        part=report.part,
        coverage=report.coverage(),
        medctx3d=__version__,
        torch=torch.__version__,
    )
    if images is not None:
        found['data_manifest'] = as_rows(images)
    return found


def write_converted(
    folder: Path, name: str, weights: Mapping[str, Tensor], target: Target, facts: Mapping[str, Any]
) -> tuple[Path, str]:
    """Write ``NAME-<sha8>.safetensors``: weights under the names of a segmentor, the passport in the header.

    Args:
        folder: Made where missing.
        name: Begins the name of the file.
        weights: From :func:`~medctx3d.engine.weights.fit`.
        target: That they were fitted to.
        facts: From :func:`passport`.

    Returns:
        The file and its SHA-256, with which its name states its content.
    """
    named = {f'network.{target.prefix}{key}': value for key, value in weights.items()}
    header = dict(facts, name=name, weights_sha256=weights_digest(named))
    return write_weights(folder, name, named, as_text(header))


def _from_config(config: Config) -> dict[str, Any]:
    """What a config says of the training that it is the record of."""
    model = config.get('model') or {}
    heads = [head.get('type', '') for head in (model.get('auxiliary') or {}).values()]
    found = dict(
        preparation(config) if config.get('val_dataloader') or config.get('test_dataloader') else {},
        method=' with '.join([str(model.get('type', '')), *heads]),
        window=(model.get('inferer') or {}).get('roi_size'),
    )
    return {key: value for key, value in found.items() if value}
