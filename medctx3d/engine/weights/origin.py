"""Where weights come from: the parts of a model that begin with some, and the images that those were trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.weights.loading import PretrainedWeights
from medctx3d.registry import WEIGHT_INITIALIZERS
from medctx3d.utils.data_manifest import FILE_NAME, SeenImage, from_rows, read_manifest
from medctx3d.utils.weights_file import read_metadata

KEY = 'data_manifest'  # in the meta of a checkpoint, and in the header of converted weights


def manifest_of(path: str | Path) -> list[SeenImage] | None:
    """The images that weights were trained on, as far as anybody wrote them down.

    What the file itself says goes before a ``data_manifest.json`` beside it, which may be of a later training.

    Args:
        path: A manifest (``.json``), converted weights, or a checkpoint.

    Returns:
        The images; None where there is no manifest.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file or its manifest cannot be read.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: name weights, or a data manifest')
    if path.suffix == '.json':
        return read_manifest(path)
    if path.suffix == '.safetensors':
        stated = read_metadata(path).get(KEY)
        own = None if stated is None else from_rows(json.loads(stated), path)
    else:
        own = manifest_in(load_checkpoint_file(path, map_location='meta'), path)
    beside = path.with_name(FILE_NAME)
    return read_manifest(beside) if own is None and beside.is_file() else own


def manifest_in(checkpoint: Mapping[str, Any], label: object) -> list[SeenImage] | None:
    """The images that a checkpoint says it was trained on; None where it says nothing.

    Args:
        checkpoint: As it was loaded.
        label: Its file, for the message.

    Raises:
        ValueError: What it says is no manifest.
    """
    meta = checkpoint.get('meta')
    rows = meta.get(KEY) if isinstance(meta, Mapping) else None
    return None if rows is None else from_rows(rows, label)


def pretrained_parts(model: nn.Module) -> Iterator[tuple[nn.Module, PretrainedWeights]]:
    """Each module that begins with pretrained weights; the teacher copies the student and is passed over."""
    for name, module in model.named_modules():
        settings: Any = getattr(module, 'init_cfg', None)
        if not settings or name.startswith('teacher.'):
            continue
        for one in [settings] if isinstance(settings, dict) else settings:
            if one['type'] in ('PretrainedWeights', PretrainedWeights):
                yield module, WEIGHT_INITIALIZERS.build(dict(one))
