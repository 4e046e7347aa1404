"""Reading checkpoints: tensors and plain data only, whatever the file claims to be."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from medctx3d.utils.checkpoint_archive import ArchiveError, check_archive
from medctx3d.utils.weights_file import WeightsFileError, read_weights


class CheckpointError(ValueError):
    """A checkpoint that is damaged, foreign, or made for another network."""


def load_checkpoint_file(filename: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint with torch's restricted unpickler, or as safetensors; there is no fallback.

    Args:
        filename: A ``.pth`` file, or a ``.safetensors`` file; if that is named ``NAME-<8 hex digits>``, its SHA-256
            must begin with them.
        map_location: As in ``torch.load``.

    Returns:
        What the file holds: tensors in containers of plain data.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is truncated, damaged, no checkpoint, not the one that its name states, or holds
            anything but tensors and plain data.
    """
    path = Path(os.path.expanduser(filename))
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist; check the path (last_checkpoint names the newest)')
    if path.suffix == '.safetensors':
        try:
            return {'state_dict': read_weights(path, map_location)}
        except WeightsFileError as error:
            raise CheckpointError(f'checkpoint {path} is refused: {error}') from error
    try:
        check_archive(path)
        content = torch.load(path, map_location=map_location, weights_only=True)
    except ArchiveError as error:
        raise CheckpointError(f'checkpoint {path} is refused: {error}') from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f'checkpoint {path} is refused: {_refusal(str(error))}') from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        raise CheckpointError(
            f'checkpoint {path} ({path.stat().st_size} bytes) cannot be read ({type(error).__name__} {error}). It is '
            'truncated or no checkpoint: copy it again, or use the checkpoint before it'
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f'checkpoint {path} holds a {type(content).__name__}, expected a dict of weights')
    return content


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any) -> dict[str, Any]:
    """Mmengine's loader of local files, replaced: resume, load_from and ``Pretrained`` all pass here."""
    return load_checkpoint_file(filename, map_location)


@CheckpointLoader.register_scheme(prefixes=[prefix for prefix in CheckpointLoader._schemes if prefix], force=True)
def load_from_elsewhere(filename: str, map_location: Any) -> dict[str, Any]:
    """Refuse: a file is downloaded by the user's own hand, and checked, before it is loaded."""
    del map_location
    raise CheckpointError(
        f'{filename}: checkpoints are not loaded from the network; download the file and name its path'
    )


def load_weights(
    model: nn.Module, filename: str | Path, *, optional: tuple[str, ...] = ('teacher.', 'auxiliary.')
) -> None:
    """Give a model the weights of a checkpoint, all of them or none.

    Args:
        model: Usually a segmentor.
        filename: Written by the Runner, or a plain state dict.
        optional: Prefixes that may be missing on either side: what is not deployed.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: Damaged, foreign, not finite, or made for another network; the message lists what differs.
    """
    model.load_state_dict(fitting_weights(model, filename, optional=optional), strict=False)


def fitting_weights(
    model: nn.Module,
    filename: str | Path,
    *,
    optional: tuple[str, ...] = ('teacher.', 'auxiliary.'),
) -> dict[str, Tensor]:
    """Read a checkpoint's weights and see that they fit and are finite; the model stays as it is.

    Args:
        model: On any device, ``meta`` included.
        filename: As in :func:`load_weights`.
        optional: As in :func:`load_weights`.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: As :func:`load_weights`.
    """
    content = load_checkpoint_file(filename)
    weights: dict[str, Tensor] = content.get('state_dict', content)
    check_fit(model, weights, f'checkpoint {filename}', optional=optional)
    return weights


def _refusal(words: str) -> str:
    found = re.search(r'GLOBAL (\S+)', words)
    if found is None:
        return f'it is damaged ({words.split(chr(10))[0][:200]}). Copy it again, or use the checkpoint before it'
    return (
        f'it holds {found[1]}, and only tensors and plain data are loaded, because anything else could run foreign '
        'code. If you trust its origin, convert it in an environment of its own: keep only its state_dict and save '
        'that with torch.save'
    )


def check_fit(model: nn.Module, weights: dict[str, Any], label: str, *, optional: tuple[str, ...] = ()) -> None:
    """Raise :class:`CheckpointError` unless names and shapes agree, names under ``optional`` prefixes aside.

    Also where the model would receive NaN or infinity, see :func:`check_finite`.
    """
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise CheckpointError(f'{label} holds no weights: a state_dict must map names to tensors. Use another file')
    mine = model.state_dict()
    missing = [key for key in mine if key not in weights and not key.startswith(optional)]
    foreign = [key for key in weights if key not in mine and not key.startswith(optional)]
    shapes = [
        f'{key}: {tuple(weights[key].shape)} in the file, {tuple(mine[key].shape)} in the model'
        for key in mine
        if key in weights and tuple(weights[key].shape) != tuple(mine[key].shape)
    ]
    if not (missing or foreign or shapes):
        return check_finite({key: weights[key] for key in mine if key in weights}, label)
    parts = [
        f'{len(names)} {what} ({", ".join(names[:3])}{", ..." if len(names) > 3 else ""})'
        for what, names in (('missing', missing), ('unknown to the model', foreign), ('of another shape', shapes))
        if names
    ]
    raise CheckpointError(
        f'{label} does not fit the model ({len(mine)} tensors compared): {"; ".join(parts)}. '
        'Use the config it was trained with'
    )


def check_finite(weights: Mapping[str, Tensor], label: str) -> None:
    """Refuse weights with NaN or infinity: a network with them answers background everywhere, and says nothing.

    Args:
        weights: Of a model, optimiser and logs aside; those on ``meta`` have no values and pass.
        label: The file, for the message.

    Raises:
        CheckpointError: A tensor is not finite; the message names the first.
    """
    broken = {
        name: count
        for name, value in weights.items()
        if value.is_floating_point() and not value.is_meta and (count := int((~torch.isfinite(value)).sum()))
    }
    if broken:
        name, count = next(iter(broken.items()))
        raise CheckpointError(
            f'{label} holds weights that are not finite: {count} of {weights[name].numel()} values of {name} are NaN '
            f'or infinite ({len(broken)} of {len(weights)} tensors have such values). The training that wrote it had '
            'failed by then, or the file is damaged: use the checkpoint before it'
        )
