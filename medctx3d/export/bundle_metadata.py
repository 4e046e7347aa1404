"""What ``configs/metadata.json`` of a MONAI bundle must say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import monai
import nibabel
import numpy as np
import torch
from packaging.version import Version

SCHEMA = 'https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json'
_MODALITIES = {'CT': 'CT', 'T1': 'MR', 'T2': 'MR', 'FLAIR': 'MR', 'MR': 'MR', 'CINE': 'MR'}  # by beginning of the name


def bundle_metadata(facts: Mapping[str, Any], *, name: str, licence: str) -> dict[str, Any]:
    """The metadata of a bundle, after MONAI's bundle specification.

    Args:
        facts: From :func:`~medctx3d.export.describe`.
        name: Of the bundle.
        licence: Of its weights.
    """
    version = '1.0.0'
    classes, channels = facts['classes'], facts['channels']
    shape = list(facts['window'])
    return {
        'schema': SCHEMA,
        'version': version,
        'changelog': {version: 'exported'},
        'monai_version': monai.__version__,
        'pytorch_version': Version(torch.__version__).base_version,
        'numpy_version': np.__version__,
        'required_packages_version': {'nibabel': nibabel.__version__},
        'name': name,
        'task': '3D medical image segmentation',
        'description': f'{name}: {", ".join(classes[1:])} in {", ".join(channels)}',
        'authorship': 'not stated',
        'copyright': licence,
        'data_source': facts['data'],
        'data_type': 'nibabel',
        'image_classes': f'{len(channels)} channel(s): {", ".join(channels)}',
        'label_classes': ', '.join(f'{label} {title}' for label, title in enumerate(classes)),
        'pred_classes': ', '.join(f'{label} {title}' for label, title in enumerate(classes)),
        'intended_use': 'research; not for clinical use',
        'medctx3d': dict(facts),
        'network_data_format': {
            'inputs': {
                'image': {
                    'type': 'image',
                    'format': 'hounsfield' if channels == ['CT'] else 'magnitude',
                    'modality': _modality(channels[0]),
                    'num_channels': len(channels),
                    'spatial_shape': shape,
                    'dtype': 'float32',
                    'value_range': [],
                    'is_patch_data': True,
                    'channel_def': {str(number): title for number, title in enumerate(channels)},
                }
            },
            'outputs': {
                'pred': {
                    'type': 'image',
                    'format': 'segmentation',
                    'num_channels': len(classes),
                    'spatial_shape': shape,
                    'dtype': 'float32',
                    'value_range': [],
                    'is_patch_data': True,
                    'channel_def': {str(label): title for label, title in enumerate(classes)},
                }
            },
        },
    }


def _modality(channel: str) -> str:
    return next((kind for start, kind in _MODALITIES.items() if channel.upper().startswith(start)), 'n/a')
