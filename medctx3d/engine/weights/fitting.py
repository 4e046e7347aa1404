"""Weights of a file and the tensors of a network, brought together name by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from torch import Tensor, nn

from medctx3d.engine.checkpoint import CheckpointError
from medctx3d.engine.weights.report import Entry, Kind, WeightsReport, shape_of
from medctx3d.engine.weights.reshaping import (
    differ_in_classes,
    embedding_as,
    inflate_channels,
    inflate_patch,
    resize_table,
    reverse_axes,
    without_ones,
)
from medctx3d.engine.weights.source import Source

Part = Literal['encoder', 'encoder_decoder']
PATCH = 16  # voxels along each side of a patch of UNETR
_POSITIONS = re.compile(r'.*(?:position_embeddings|relative_position_bias_table)')


_LEFT_OUT: tuple[Tensor | None, Kind, str] = (None, 'new', 'left out by name')


@dataclass(frozen=True)
class Target:
    """The network that is to get weights.

    Attributes:
        module: That loads them.
        prefix: What stands before the module's own names in those of a network: ``backbone.`` for a lone backbone.
        tensors: Parameters and buffers by the names of a network.
    """

    module: nn.Module
    prefix: str
    tensors: dict[str, Tensor]


def target_of(module: nn.Module) -> Target:
    """The network inside a segmentor or a self-supervised model, a network, or a lone backbone."""
    inner: Any = getattr(module, 'network', None)
    if isinstance(inner, nn.Module):
        module = inner
    prefix = 'backbone.' if _is_backbone(module) else ''
    return Target(module, prefix, {prefix + name: value for name, value in module.state_dict().items()})


def _is_backbone(module: Any) -> bool:
    return isinstance(module, nn.Module) and hasattr(module, 'out_channels') and hasattr(module, 'out_strides')


def fit(
    source: Source,
    target: Target,
    *,
    part: Part = 'encoder',
    leave_out: Sequence[str] = (),
    interpolate: bool = False,
) -> tuple[dict[str, Tensor], WeightsReport]:
    """Find for each tensor of a network the one in the file that belongs there.

    Args:
        source: The file.
        target: The network.
        part: ``encoder``, or ``encoder_decoder`` for everything.
        leave_out: Names of the network that start anew, with ``*`` for any part of one, such as
            ``('decode_head.out*',)`` for the last layer of a pretext task.
        interpolate: Bring tables of positions from another grid to this one.

    Returns:
        What is to be loaded, by the names of ``target.module`` (and tables of whole numbers that it has no place for,
        which a layer may compare with what it computes), and what became of every tensor.

    Raises:
        ValueError: ``part`` is unknown or asks for the encoder of a network that has no seam, or a name to leave out
            is none of the network's.
        CheckpointError: Two tensors of the file have one place in the network.
    """
    encoder, wanted = _part_of(part, source, target)
    left_out = _left_out(leave_out, wanted)
    names = _names(source, target)
    loaded: dict[str, Tensor] = {}
    entries = [Entry('unused', name, note=note) for name, note in source.others.items()]
    taken: dict[str, str] = {}
    modules = {name for name, _ in target.module.named_modules() if name}
    for published, value in source.weights.items():
        name = names.get(published, '')
        if name not in wanted:
            entries.append(_unplaced(published, value, name in target.tensors, part, source, target))
            own = name.removeprefix(target.prefix)
            if own.rpartition('.')[0] in modules and not value.is_floating_point():
                loaded[own] = value  # a layer may compare a table with what it computes
            continue
        full = source.prefix + published
        if name in taken:
            raise CheckpointError(f'{source.path}: {taken[name]} and {full} are both to become {name}')
        taken[name] = full
        fitted, kind, note = _LEFT_OUT
        if name not in left_out:
            fitted, kind, note = _fit_tensor(value, published, name, source, target, interpolate)
        if fitted is not None:
            loaded[name[len(target.prefix) :]] = fitted
        shapes = shape_of(value), shape_of(target.tensors[name])
        entries.append(Entry(kind, full, name, *shapes, note, name in encoder))
    for name in (name for name in target.tensors if name in wanted and name not in taken):
        tensor = target.tensors[name]
        kind, note = _LEFT_OUT[1:] if name in left_out else _absent(name, tensor)
        entries.append(Entry(kind, '', name, None, shape_of(tensor), note, name in encoder))
    return loaded, WeightsReport(str(source.path), source.naming.name, part, tuple(entries))


def _part_of(part: Part, source: Source, target: Target) -> tuple[set[str], set[str]]:
    """The encoder's names, and those of the part that is asked for."""
    encoder = {name for name in target.tensors if _in_encoder(name, source)}
    if part not in ('encoder', 'encoder_decoder'):
        raise ValueError(f"part must be 'encoder' or 'encoder_decoder', got {part!r}")
    if part == 'encoder' and not encoder:
        raise ValueError(
            f"part='encoder' needs a network with a seam, {type(target.module).__name__} has none for "
            f"{source.naming.name} weights: use part='encoder_decoder'"
        )
    return encoder, encoder if part == 'encoder' else set(target.tensors)


def _left_out(patterns: Sequence[str], wanted: set[str]) -> set[str]:
    """The names that start anew."""
    found = {pattern: {name for name in wanted if fnmatchcase(name, pattern)} for pattern in patterns}
    idle = [pattern for pattern, names in found.items() if not names]
    if idle:
        raise ValueError(
            f'leave_out must name tensors of the network, got {", ".join(idle)}; it has '
            f'{", ".join(sorted(wanted)[:6])}, ...'
        )
    return set().union(*found.values())


def _names(source: Source, target: Target) -> dict[str, str]:
    """Published names to those of the network, in whichever form it is built: split, whole, or as published."""
    split = source.naming.rename(source.weights)
    candidates: list[Mapping[str, str]] = [
        split,
        {name: f'net.{name}' for name in source.weights},
        {name: name for name in source.weights},
        {name: f'backbone.{name}' for name in source.weights},
    ]
    best = max(candidates, key=lambda names: sum(name in target.tensors for name in names.values()))
    return {published: _other_embedding(name, target.tensors) for published, name in best.items()}


def _other_embedding(name: str, tensors: Mapping[str, Tensor]) -> str:
    """The name of a UNETR patch embedding where the network has the other kind of it."""
    if name in tensors or '.patch_embeddings.' not in name:
        return name
    linear = name.replace('.patch_embeddings.1.', '.patch_embeddings.')
    return linear if linear != name else name.replace('.patch_embeddings.', '.patch_embeddings.1.')


def _in_encoder(name: str, source: Source) -> bool:
    published = name.removeprefix('net.')
    return name.startswith('backbone.') or re.fullmatch(source.naming.encoder, published) is not None


def _fit_tensor(
    value: Tensor, published: str, name: str, source: Source, target: Target, interpolate: bool
) -> tuple[Tensor | None, Kind, str]:
    """What becomes of one tensor of the file whose name has a place in the network."""
    naming, wanted = source.naming, shape_of(target.tensors[name])
    turned = reverse_axes(value) if naming.reversed_axes else value
    if shape_of(turned) == wanted:
        if turned is not value:
            return turned, 'renamed', 'axes reversed'
        return turned, 'matched' if published == name else 'renamed', ''
    found = shape_of(turned)
    change = f'{found} -> {wanted}'
    if re.fullmatch(naming.inputs, published):
        kind_changed = embedding_as(turned, wanted)
        if kind_changed is not None:
            return kind_changed, 'reshaped', 'patch embedding of the other kind'
        inflated = inflate_channels(turned, wanted)
        if inflated is None:
            inflated = inflate_patch(turned, wanted, PATCH**3)
        if inflated is not None:
            return inflated, 'reshaped', f'image channels {change}: response to equal channels kept'
    squeezed = without_ones(turned, wanted)
    if squeezed is not None:
        return squeezed, 'reshaped', 'same values'
    if re.fullmatch(naming.classes, published) and differ_in_classes(found, wanted):
        return None, 'new', f'number of classes {found[0]} -> {wanted[0]}'
    if not value.is_floating_point():
        return None, 'new', 'follows from the architecture'
    if _POSITIONS.fullmatch(name):
        grid = _position_grid(name, target)
        resized = resize_table(turned, wanted, grid) if interpolate else None
        if resized is not None:
            return resized, 'reshaped', 'positions interpolated'
        return None, 'missing', f'positions on another grid, {change}; interpolate=True brings them to this one'
    return None, 'missing', f'another shape, {change}'


def _position_grid(name: str, target: Target) -> Any:
    """The grid of tokens of a UNETR; other tables are cubes."""
    if not name.endswith('position_embeddings'):
        return None
    size: Any = next((one.img_size for one in target.module.modules() if hasattr(one, 'img_size')), None)
    return None if size is None else tuple(int(side) // PATCH for side in size)


def _unplaced(published: str, value: Tensor, elsewhere: bool, part: Part, source: Source, target: Target) -> Entry:
    """The entry of a tensor of the file that is not loaded."""
    naming, shape = source.naming, shape_of(value)
    full = source.prefix + published
    in_encoder = _in_encoder(published, source)
    if elsewhere or (part == 'encoder' and not in_encoder):
        return Entry('unused', full, source_shape=shape, note='outside of the part that is asked for')
    computed = in_encoder or (not target.prefix and published in naming.rename(source.weights))
    idle = published.endswith('mask_token') or re.fullmatch(f'{naming.idle}|{naming.classes}', published)
    if not computed or idle or not value.is_floating_point():
        return Entry('unused', full, source_shape=shape, encoder=in_encoder)
    note = 'the network of the file computes with it, the network here has no such part'
    return Entry('unused', full, source_shape=shape, note=note, encoder=in_encoder, lost=True)


def _absent(name: str, tensor: Tensor) -> tuple[Kind, str]:
    if name.endswith('mask_token'):
        return 'new', 'mask token'
    if not tensor.is_floating_point():
        return 'new', 'follows from the architecture'
    return 'missing', ''
