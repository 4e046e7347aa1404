"""Pretrained weights with their passport: what they are, how they were made, and on which images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from medctx3d.engine.weights import Source, Target, WeightsReport, merge_order
from medctx3d.export.description import as_text, dataset_of, preparation, step_name
from medctx3d.utils.data_manifest import SeenImage, as_rows
from medctx3d.utils.weights_file import file_digest, weights_digest, write_weights
from medctx3d.version import __version__

STATED = ('method', 'data', 'spacing', 'orientation', 'window', 'intensity', 'licence')
NOT_STATED = 'not stated'
TRAINED = ('train', 'test', 'val')  # whose volumes weights have seen; published configs have no train


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
    found = dict(preparation(config, TRAINED), method=_method(config.get('model') or {}), window=_window(config))
    resized = [step['spatial_size'] for step in _draws(config) if step_name(step).startswith('Resize')]
    if resized:
        found['spacing'] = f'differs: every volume resized to {list(resized[-1])} voxels'
    return {key: value for key, value in found.items() if value}


def _method(model: Mapping[str, Any]) -> str:
    """Volume Fusion is a segmentor whose truth is made by its preprocessor, and LRC a term beside another method."""
    fused = (model.get('data_preprocessor') or {}).get('type') == 'VolumeFusionPreprocessor'
    method = 'Volume Fusion' if fused else str(model.get('type', ''))
    if 'base' in model:
        method += f' on {_method(model["base"])}'
    heads = [head.get('type', '') for head in (model.get('auxiliary') or {}).values()]
    return ' with '.join([method, *heads])


def _window(config: Config) -> list[int] | None:
    """What the network saw: the views that the method cuts, else the window of the segmentor, else the crops."""
    model = config.get('model') or {}
    crops, views = model.get('crops') or {}, model.get('views') or {}
    view = (model.get('data_preprocessor') or {}).get('view') or {}
    sizes = [crops.get('out_size'), crops.get('base_size'), views.get('size'), view.get('size')]
    sizes.append((model.get('inferer') or {}).get('roi_size'))
    for step in reversed(_draws(config)):
        if 'Crop' in step_name(step) or step_name(step).startswith('Resize'):
            sizes += [step.get(key) for key in ('size', 'roi_size', 'spatial_size')]
    return next((list(size) for size in sizes if size), None)


def _draws(config: Config) -> list[Mapping[str, Any]]:
    """The transforms of every draw of the training set."""
    return list(dataset_of(config, TRAINED).get('pipeline') or ())
