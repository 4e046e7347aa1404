"""A MONAI bundle: the network as TorchScript, and a workflow around it that names nothing but MONAI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from medctx3d.export.bundle_metadata import bundle_metadata
from medctx3d.export.graph_export import TOLERANCE, Parity, export_graph
from medctx3d.utils.atomic import atomic_path, require_writable

_PER_KEY = ('mode', 'padding_mode', 'align_corners', 'dtype')  # arguments of MONAI that may have one value per key
_INFERER = ('sw_batch_size', 'overlap', 'mode')


def export_bundle(
    network: nn.Module,
    out: str | Path,
    *,
    name: str,
    config: Config,
    facts: Mapping[str, Any],
    licence: str = 'not stated',
    tolerance: float = TOLERANCE,
) -> Parity:
    """Write ``configs/inference.json`` and ``metadata.json``, ``models/model.ts``, ``docs/README.md`` and ``LICENSE``.

    Args:
        network: A :class:`~medctx3d.export.DeployedNetwork`.
        out: Folder of the bundle, made where missing.
        name: Of the bundle.
        config: That the network was trained with.
        facts: From :func:`~medctx3d.export.describe`.
        licence: Under which the weights may be used.
        tolerance: As in :func:`~medctx3d.export.export_graph`.

    Raises:
        ValueError: The config prepares or post-processes volumes by what MONAI does not have; the message names it.
        FileExistsError: The folder holds a bundle already.
        ExportError: The network cannot be written as TorchScript, or its graph disagrees.
        OSError: The folder cannot be written to.
    """
    if config.model.get('postprocessing'):
        raise ValueError(
            'a bundle runs without this package, so model.postprocessing would be left out: export without it '
            '(--cfg-options model.postprocessing=[]), and add steps of MONAI to the bundle'
        )
    workflow = inference_workflow(config, facts)
    folder = require_writable(out, '--out')
    if (folder / 'configs').exists():
        raise FileExistsError(f'{folder} holds a bundle already: choose another folder')
    metadata = bundle_metadata(facts, name=name, licence=licence)
    parity = export_graph(
        network,
        folder / 'models' / 'model.ts',
        format='torchscript',
        channels=len(facts['channels']),
        window=tuple(facts['window']),
        metadata=facts,
        tolerance=tolerance,
    )
    texts = {
        'configs/metadata.json': json.dumps(metadata, indent=2),
        'configs/inference.json': json.dumps(workflow, indent=2),
        'docs/README.md': _readme(name, facts),
        'LICENSE': f'The weights of this bundle: {licence}\n',
    }
    for place, text in texts.items():
        with atomic_path(folder / place) as temporary:
            temporary.write_text(text, encoding='utf-8')
    return parity


def inference_workflow(config: Config, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``inference.json``; ``monai.bundle`` runs it on all NIfTI files of ``dataset_dir``."""
    channels = len(facts['channels'])
    found = "$sorted(glob.glob(os.path.join(@dataset_dir, '*.nii.gz')))"
    if channels > 1:
        found = (
            "$[[f[:-12] + '_%04d.nii.gz' % c for c in range(" + str(channels) + ')] '
            "for f in sorted(glob.glob(os.path.join(@dataset_dir, '*_0000.nii.gz')))]"
        )
    inferer = config.model.inferer
    windows = {key: inferer[key] for key in _INFERER if key in inferer}
    return {
        'imports': ['$import glob', '$import os', '$import torch'],
        'bundle_root': '.',
        'dataset_dir': "$@bundle_root + '/data'",
        'output_dir': "$@bundle_root + '/eval'",
        'datalist': found,
        'device': "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        'network_def': "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device)",
        'network': '$@network_def.eval()',
        'preprocessing': {'_target_': 'Compose', 'transforms': preprocessing(facts['preprocessing'])},
        'dataset': {
            '_target_': 'Dataset',
            'data': "$[{'image': image} for image in @datalist]",
            'transform': '@preprocessing',
        },
        'dataloader': {'_target_': 'DataLoader', 'dataset': '@dataset', 'batch_size': 1, 'num_workers': 0},
        'inferer': {'_target_': 'SlidingWindowInferer', 'roi_size': list(facts['window']), **windows},
        'postprocessing': {'_target_': 'Compose', 'transforms': _postprocessing()},
        'evaluator': {
            '_target_': 'SupervisedEvaluator',
            'device': '@device',
            'val_data_loader': '@dataloader',
            'network': '@network',
            'inferer': '@inferer',
            'postprocessing': '@postprocessing',
        },
        'run': ['$@evaluator.run()'],
    }


def preprocessing(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A load pipeline as MONAI's own transforms of the image.

    Raises:
        ValueError: A transform is none of MONAI's.
    """
    written: list[dict[str, Any]] = [{'_target_': 'LoadImaged', 'keys': 'image', 'ensure_channel_first': True}]
    for step in steps:
        kind = str(step['type'])
        if kind == 'LoadVolume':
            continue
        if not kind.startswith('monai.'):
            raise ValueError(
                f'a bundle runs without this package, but the load pipeline has {kind}: replace it by a transform of '
                'MONAI, or export a graph (--format torchscript) and prepare volumes yourself'
            )
        keys = step.get('keys', ['image'])
        keys = [keys] if isinstance(keys, str) else list(keys)
        if 'image' not in keys:
            continue
        arguments = {key: value for key, value in step.items() if key not in ('type', 'keys', 'allow_missing_keys')}
        for key in _PER_KEY:
            if isinstance(arguments.get(key), list | tuple):
                arguments[key] = arguments[key][keys.index('image')]
        written.append({'_target_': kind, 'keys': 'image', **arguments})
    return [*written, {'_target_': 'EnsureTyped', 'keys': 'image', 'dtype': '$torch.float32'}]


def _postprocessing() -> list[dict[str, Any]]:
    """Scores back on the grid of the file, then the class with the highest one: its border follows the finer grid."""
    return [
        {
            '_target_': 'Invertd',
            'keys': 'pred',
            'transform': '@preprocessing',
            'orig_keys': 'image',
            'nearest_interp': False,
            'to_tensor': True,
        },
        {'_target_': 'AsDiscreted', 'keys': 'pred', 'argmax': True},
        {
            '_target_': 'SaveImaged',
            'keys': 'pred',
            'output_dir': '@output_dir',
            'output_postfix': '',
            'separate_folder': False,
            'output_dtype': '$torch.uint8',
            'resample': False,
        },
    ]


def _readme(name: str, facts: Mapping[str, Any]) -> str:
    classes = '\n'.join(f'- {label} {title}' for label, title in enumerate(facts['classes']))
    return f"""# {name}

Segmentation of 3D volumes ({', '.join(facts['channels'])}). Not for clinical use.

Classes:

{classes}

The network takes windows of {' x '.join(map(str, facts['window']))} voxels. `configs/inference.json` loads, orients,
resamples and scales volumes as in training, predicts in sliding windows and writes labels on the grid of each file.
It needs MONAI {monai.__version__}, torch {torch.__version__}, numpy {np.__version__}, nibabel and pytorch-ignite; the
command line also needs fire.

    python -m monai.bundle run --config_file configs/inference.json --dataset_dir scans --output_dir segmentations

{_files(facts)}

SHA-256 of the weights: {facts['weights_sha256']}, written by medctx3d {facts['medctx3d']}.
"""


def _files(facts: Mapping[str, Any]) -> str:
    if len(facts['channels']) == 1:
        return '`scans` holds one `.nii.gz` file per case.'
    return (
        '`scans` holds one file per case and channel, `<case>_0000.nii.gz`, `<case>_0001.nii.gz`, ..., in the order '
        f'{", ".join(facts["channels"])}.'
    )
