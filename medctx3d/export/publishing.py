"""Strip a training run to what predicts: weights, a config and a page about them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine import dump
from mmengine.config import Config, ConfigDict

from medctx3d.engine.checkpoint import check_fit, load_checkpoint_file
from medctx3d.export.description import as_text
from medctx3d.registry import MODELS
from medctx3d.utils.atomic import atomic_path, require_writable
from medctx3d.utils.weights_file import write_weights

TASK = '3D medical image segmentation'
_TRAINING_ONLY = ('auxiliary', 'teacher', 'passes', 'init_cfg')


class Published(NamedTuple):
    """What was written.

    Attributes:
        weights: ``NAME-<sha8>.safetensors``.
        config: ``NAME.py``.
        metafile: ``metafile.yml``.
        sha256: Of the weights file.
    """

    weights: Path
    config: Path
    metafile: Path
    sha256: str


def deployed_config(config: Config, metainfo: Mapping[str, Any]) -> Config:
    """The part of a merged config that prediction reads; nothing in it names a place on this machine.

    Args:
        config: A merged config.
        metainfo: Of its test data set; written out in full, because a class may bring it.
    """
    model = copy.deepcopy(config.model.to_dict())
    for key in _TRAINING_ONLY:
        model.pop(key, None)
    _drop_starting_weights(model['network'])
    settings = {key: value for key, value in (model.pop('test_cfg', None) or {}).items() if key != 'predict_with'}
    if settings:
        model['test_cfg'] = settings
    trained = (config.get('test_dataloader') or config.val_dataloader)['dataset'].to_dict()
    dataset = dict(
        type='VolumeDataset',  # reading lists is all that the others add
        load_pipeline=trained.get('load_pipeline', []),
        pipeline=trained.get('pipeline', []),
        metainfo={key: value for key, value in metainfo.items() if value is not None},
        test_mode=True,
    )
    loader = dict(batch_size=1, num_workers=0, collate_fn=dict(type='pseudo_collate'), dataset=dataset)
    parts = dict(default_scope='medctx3d', model=model, test_dataloader=loader)
    if config.get('custom_imports'):
        parts['custom_imports'] = config.custom_imports.to_dict()
    return Config(parts)


def deployed_weights(config: Config, checkpoint: str | Path, *, predict_with: str) -> dict[str, Any]:
    """The weights of a checkpoint under the names that a model of :func:`deployed_config` has.

    Args:
        config: From :func:`deployed_config`.
        checkpoint: Of the training run.
        predict_with: ``student`` or ``teacher``.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is damaged, or made for another network.
        ValueError: ``teacher`` is asked of a checkpoint without one.
    """
    content = load_checkpoint_file(checkpoint)
    weights = content.get('state_dict', content)
    if predict_with == 'teacher':
        taught = {
            name.replace('teacher.module.', 'network.', 1): value
            for name, value in weights.items()
            if name.startswith('teacher.module.')
        }
        if not taught or not int(weights.get('teacher.steps', 0)):
            raise ValueError(
                f'checkpoint {checkpoint} has no teacher that ever received weights: publish with '
                '--predict-with student'
            )
        weights = {**{name: value for name, value in weights.items() if not name.startswith('network.')}, **taught}
    kept = {name: value for name, value in weights.items() if not name.startswith(('teacher.', 'auxiliary.'))}
    check_fit(MODELS.build(config.model), kept, f'checkpoint {checkpoint}')
    return kept


def publish(
    config: Config,
    weights: Mapping[str, Any],
    facts: Mapping[str, Any],
    *,
    name: str,
    out: str | Path,
    results: Mapping[str, Any] | None = None,
    licence: str = 'not stated',
) -> Published:
    """Write the three files of a published model.

    Args:
        config: From :func:`deployed_config`.
        weights: From :func:`deployed_weights`.
        facts: From :func:`~medctx3d.export.description.describe`; the header of the weights file has them.
        name: Begins the names of the files: letters, digits, ``_``, ``-`` and ``.``.
        out: Folder, made where missing.
        results: Content of a ``results.json``; means, classes and rules are copied, cases are not.
        licence: Under which the weights may be used.

    Raises:
        ValueError: The name is no file name.
        FileExistsError: The folder holds a published model already.
        OSError: The folder cannot be written to.
    """
    if not re.fullmatch(r'\w[\w.-]*', name):
        raise ValueError(f'--name must consist of letters, digits, "_", "-" and ".", got {name!r}')
    folder = require_writable(out, '--out')
    config_path, metafile = folder / f'{name}.py', folder / 'metafile.yml'
    for path in (config_path, metafile):
        if path.exists():
            raise FileExistsError(f'{path} exists: publish each model into a folder of its own, or remove it')
    weights_path, digest = write_weights(folder, name, weights, as_text(dict(facts, name=name, licence=licence)))
    with atomic_path(config_path) as temporary:
        Config(config.to_dict()).dump(str(temporary))
    page = _page(config, facts, name=name, weights=weights_path.name, digest=digest, results=results, licence=licence)
    with atomic_path(metafile) as temporary:
        dump(page, str(temporary), file_format='yml', sort_keys=False, allow_unicode=True)
    return Published(weights_path, config_path, metafile, digest)


def _page(
    config: Config,
    facts: Mapping[str, Any],
    *,
    name: str,
    weights: str,
    digest: str,
    results: Mapping[str, Any] | None,
    licence: str,
) -> dict[str, Any]:
    """The model index: one model, its files, what it was trained on and how it scored."""
    network = config.model['network']
    parts = [network.get(key, {}).get('type') for key in ('backbone', 'decode_head', 'net')]
    model: dict[str, Any] = {
        'Name': name,
        'Metadata': {
            'Training Data': facts['data'],
            'Architecture': [part for part in parts if part] or [network['type']],
            'Classes': list(facts['classes']),
            'Channels': list(facts['channels']),
            'Window': list(facts['window']),
            'Spacing (mm)': facts['spacing'],
            'medctx3d': facts['medctx3d'],
            'Weights SHA-256': facts['weights_sha256'],
        },
        'Config': f'{name}.py',
        'Weights': weights,
        'SHA-256': digest,
        'License': licence,
    }
    if results:
        copied = json.loads(json.dumps({key: results[key] for key in ('mean', 'classes', 'rules') if key in results}))
        metrics = {**copied.pop('mean', {}), 'cases': len(results.get('cases') or ())}
        model['Results'] = [{'Task': TASK, 'Dataset': facts['data'], 'Metrics': metrics, **copied}]
    return {'Models': [model]}


def _drop_starting_weights(holder: Any) -> None:
    """Take out every ``init_cfg``: the published weights stand for all of them, and a file they name is elsewhere."""
    for value in holder.values() if isinstance(holder, dict | ConfigDict) else holder:
        if isinstance(value, dict | ConfigDict | list | tuple):
            _drop_starting_weights(value)
    if isinstance(holder, dict | ConfigDict):
        holder.pop('init_cfg', None)
