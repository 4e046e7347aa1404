"""Weights as safetensors: tensors and strings, nothing that could run, and a name that states the content."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from medctx3d.utils.atomic import atomic_path

_STATED = re.compile(r'-([0-9a-f]{8})\.safetensors')


class WeightsFileError(ValueError):
    """A safetensors file that is damaged, or not the one that its name states."""


def write_weights(
    folder: Path, name: str, weights: Mapping[str, Tensor], metadata: dict[str, str]
) -> tuple[Path, str]:
    """Write ``folder/NAME-<sha8>.safetensors``, whole or not at all.

    Args:
        folder: Made where missing.
        name: Of the model.
        weights: Tensor by name.
        metadata: Text by key, kept in the header of the file.

    Returns:
        The file, and the SHA-256 of its content, whose first eight digits are in its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unnamed = folder / f'.{name}.safetensors'
    try:
        # Clones, because safetensors refuses tensors that share memory.
        apart = {key: value.detach().cpu().contiguous().clone() for key, value in weights.items()}
        save_file(apart, unnamed, metadata)
        digest = file_digest(unnamed)
        path = folder / f'{name}-{digest[:8]}.safetensors'
        with atomic_path(path) as temporary:
            unnamed.rename(temporary)
    finally:
        unnamed.unlink(missing_ok=True)
    return path, digest


def read_weights(path: Path, map_location: Any = 'cpu') -> dict[str, Tensor]:
    """Read the tensors of a safetensors file.

    Args:
        path: The file; if it is named ``NAME-<8 hex digits>.safetensors``, its SHA-256 must begin with them.
        map_location: Device or its name.

    Raises:
        WeightsFileError: The file is damaged, or its content is not what its name states.
    """
    stated = _STATED.search(path.name)
    if stated is not None and not file_digest(path).startswith(stated[1]):
        raise WeightsFileError(
            f'its name states a SHA-256 that begins with {stated[1]}, its content has {file_digest(path)[:8]}. It was '
            'changed or damaged: copy it again from where it was published'
        )
    try:
        with safe_open(path, framework='pt') as file:
            _refuse_twins(path)
            return {key: file.get_tensor(key).to(torch.device(map_location)) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsFileError(
            f'it cannot be read ({error}; {path.stat().st_size} bytes). It is truncated or no safetensors file: copy '
            'it again'
        ) from error


def _refuse_twins(path: Path) -> None:
    """Refuse a header with a name twice: readers differ in which of the two they take. Its length was checked."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        if twice:
            raise WeightsFileError(f'its header has {twice[0]!r} twice. Get it from where it was published')
        return dict(pairs)

    with open(path, 'rb') as file:
        json.loads(file.read(int.from_bytes(file.read(8), 'little')), object_pairs_hook=unique)


def read_metadata(path: Path) -> dict[str, str]:
    """The text in the header of a safetensors file."""
    with safe_open(path, framework='pt') as file:
        return dict(file.metadata() or {})


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(2**20), b''):
            digest.update(block)
    return digest.hexdigest()


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of the weights themselves, the same in whatever file they lie: names, shapes, types and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
