"""A file of weights, read and recognised: the tensors of one network under the names their authors gave them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file
from medctx3d.engine.weights.naming import FileContent, Naming
from medctx3d.engine.weights.namings import NAMINGS
from medctx3d.utils.weights_file import read_metadata

WeightsOf = Literal['student', 'teacher']
_WRAPPERS = ('state_dict', 'network_weights', 'model_state_dict', 'net', 'model')
_WRAPPING = re.compile(r'^(?:module\.|_orig_mod\.)+')  # what distributed training and torch.compile put in front


@dataclass(frozen=True)
class Source:
    """The weights of one network.

    Attributes:
        path: The file.
        naming: That it follows.
        prefix: What stood before each name in the file.
        weights: Tensor by published name.
        others: Names in the file that are not part of this network, with the reason.
        facts: What file and naming say of the pretraining.
    """

    path: Path
    naming: Naming
    prefix: str
    weights: dict[str, Tensor]
    others: dict[str, str]
    facts: dict[str, Any]


def read_source(
    path: str | Path, *, source: str = 'auto', weights_of: WeightsOf | None = None, map_location: str = 'cpu'
) -> Source:
    """Read a file of weights and find out whose it is.

    Args:
        path: A ``.pth``, ``.pt`` or ``.safetensors`` file.
        source: A name of :data:`~medctx3d.engine.weights.namings.NAMINGS`; ``auto``: recognise it by its names.
        weights_of: ``student`` or ``teacher``, for files that hold both.
        map_location: ``meta`` reads names and shapes only.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: ``source`` or ``weights_of`` is no such name.
        CheckpointError: The file is damaged or holds anything but tensors and plain data, follows no known naming or
            more than one, or holds student and teacher and none was chosen.
    """
    if source != 'auto' and source not in NAMINGS:
        raise ValueError(f'source must be "auto" or one of {", ".join(NAMINGS)}, got {source!r}')
    if weights_of not in (None, 'student', 'teacher'):
        raise ValueError(f"weights_of must be 'student' or 'teacher', got {weights_of!r}")
    path = Path(path).expanduser()
    content = load_checkpoint_file(path, map_location)
    file = _unwrapped(content, read_metadata(path) if path.suffix == '.safetensors' else {}, path)
    naming = NAMINGS[source] if source != 'auto' else _recognised(file, path)
    prefix = _chosen(_prefixes(naming, file), weights_of, path, naming)
    weights, others = {}, {}
    for name, value in file.weights.items():
        if naming.aliases and re.search(naming.aliases, name):
            others[name] = 'another name of a tensor that has been read'
        elif name.startswith(prefix):
            weights[name[len(prefix) :]] = value
        else:
            others[name] = f'not part of the network at {prefix!r}'
    return Source(path, naming, prefix, weights, others, {**naming.facts, **naming.read_facts(file)})


def _unwrapped(content: Mapping[str, Any], header: Mapping[str, str], path: Path) -> FileContent:
    """Take the tensors out of whatever a checkpoint wraps them in."""
    pair = {key: content[key] for key in ('student', 'teacher') if _is_weights(content.get(key))}
    wrapper = next((key for key in _WRAPPERS if _is_weights(content.get(key))), None)
    if wrapper is not None:
        found, used = dict(content[wrapper]), {wrapper}
    elif pair:
        found = {f'{key}.{name}': value for key, part in pair.items() for name, value in part.items()}
        used = set(pair)
    else:
        found = {name: value for name, value in content.items() if isinstance(value, Tensor)}
        used = set(found)
    weights = {_WRAPPING.sub('', name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not weights:
        raise CheckpointError(
            f'{path} holds no weights: expected tensors by name, at the top or under one of {", ".join(_WRAPPERS)}, '
            f'got the keys {_few(list(content))}. Use another file'
        )
    return FileContent(weights, {key: value for key, value in content.items() if key not in used}, header)


def _is_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(item, Tensor) for item in value.values())


def _recognised(file: FileContent, path: Path) -> Naming:
    """The one naming that the file follows."""
    found = []
    for naming in NAMINGS.values():
        candidates = _prefixes(naming, file) or ['']
        if any(naming.recognises(_under(file, prefix), file) for prefix in candidates):
            found.append(naming)
    if len(found) == 1:
        return found[0]
    if NAMINGS['medctx3d'] in found:  # its names contain those of the networks it is built from
        return NAMINGS['medctx3d']
    known = '; '.join(f'{naming.name} ({naming.about})' for naming in found or NAMINGS.values())
    what = 'fits more than one naming' if found else 'follows no known naming'
    raise CheckpointError(
        f'{path} {what} of weights. It holds {len(file.weights)} tensors: {_few(list(file.weights))}. '
        f'{"Choose" if found else "If it is one of these, say which"} with source= (--from): {known}'
    )


def _under(file: FileContent, prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in file.weights.items() if name.startswith(prefix)}


def _prefixes(naming: Naming, file: FileContent) -> list[str]:
    """What stands before the names of the networks in a file, one prefix per network."""
    anchor = re.compile(rf'(?:^|(?<=\.))(?:{naming.anchor})')
    prefixes = set()
    for name in file.weights:
        match = anchor.search(name)
        if match and not (naming.aliases and re.search(naming.aliases, name)):
            prefixes.add(name[: match.start()])
    if naming.name == 'medctx3d':  # heads, projectors and losses may hold such names too: only networks count
        prefixes &= {'', 'network.', 'teacher.module.'}
    return sorted(prefixes)


def _chosen(prefixes: list[str], weights_of: WeightsOf | None, path: Path, naming: Naming) -> str:
    """The prefix of the network that is asked for."""
    if not prefixes:
        raise CheckpointError(
            f'{path} has no tensor of {naming.name} ({naming.about}), whose names match {naming.anchor!r}: leave out '
            'source= (--from), or name another'
        )
    taught = [prefix for prefix in prefixes if 'teacher' in prefix]
    learnt = [prefix for prefix in prefixes if prefix not in taught]
    if len(taught) > 1 or len(learnt) > 1:
        raise CheckpointError(f'{path} holds several networks, at {", ".join(map(repr, prefixes))}: keep one of them')
    if weights_of is None:
        if len(prefixes) == 1:
            return prefixes[0]
        raise CheckpointError(
            f"{path} holds a student and a teacher: choose with weights_of='student' or weights_of='teacher' in the "
            'init_cfg that names the file (--cfg-options model.network.init_cfg.weights_of=student); '
            'tools/convert_weights.py has --weights-of'
        )
    wanted = taught if weights_of == 'teacher' else learnt
    if not wanted:
        raise CheckpointError(
            f'{path} holds no {weights_of}, only the network at {prefixes[0]!r}: leave out weights_of (--weights-of)'
        )
    return wanted[0]


def _few(names: list[str]) -> str:
    return ', '.join(names[:6]) + (', ...' if len(names) > 6 else '')
