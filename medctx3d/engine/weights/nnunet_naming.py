"""The names that nnU-Net v2 and nnssl give to the tensors of their U-Nets.

Their modules are registered twice, and so are their tensors: every convolution and norm also as ``all_modules.N``, the
whole encoder also as ``decoder.encoder``. One name of each is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from medctx3d.engine.weights.naming import FileContent, Naming, Weights, has

_NORM = {'conv': 'conv', 'norm': 'adn.N'}
_PLAIN = re.compile(r'encoder\.stages\.(\d+)\.0\.convs\.(\d+)\.(conv|norm)\.(\w+)')
_STEM = re.compile(r'encoder\.stem\.convs\.0\.(conv|norm)\.(\w+)')
_BLOCK = re.compile(r'encoder\.stages\.(\d+)\.blocks\.(\d+)\.(conv1|conv2|skip\.\d+)\.(conv|norm)\.(\w+)')
_DECODER = re.compile(r'decoder\.stages\.(\d+)\.convs\.(\d+)\.(conv|norm)\.(\w+)')
_UP = re.compile(r'decoder\.transpconvs\.(\d+)\.(\w+)')
_OUT = re.compile(r'decoder\.seg_layers\.(\d+)\.(\w+)')


def rename(names: Iterable[str]) -> dict[str, str]:
    """Published names to ours; the decoder is numbered from the coarsest level there, from the finest here."""
    names = list(names)
    levels = 1 + max((int(match[1]) for match in map(_UP.fullmatch, names) if match), default=-1)
    renamed = {}
    for name in names:
        ours = _encoder_name(name) or _decoder_name(name, levels)
        if ours:
            renamed[name] = ours
    return renamed


def _encoder_name(name: str) -> str | None:
    if match := _PLAIN.fullmatch(name):
        stage, block, kind, leaf = match.groups()
        return f'backbone.stages.{stage}.{block}.{_NORM[kind]}.{leaf}'
    if match := _STEM.fullmatch(name):
        return f'backbone.stages.0.0.{_NORM[match[1]]}.{match[2]}'
    if match := _BLOCK.fullmatch(name):
        stage, block, part, kind, leaf = match.groups()
        index = int(block) + (stage == '0')  # our first stage begins with the stem
        part = {'conv1': 'first', 'conv2': 'second'}.get(part, part.replace('skip', 'shortcut'))
        return f'backbone.stages.{stage}.{index}.{part}.{_NORM[kind]}.{leaf}'
    return None


def _decoder_name(name: str, levels: int) -> str | None:
    if match := _DECODER.fullmatch(name):
        level, block, kind, leaf = match.groups()
        return f'decode_head.convs.{levels - 1 - int(level)}.{block}.{_NORM[kind]}.{leaf}'
    if match := _UP.fullmatch(name):
        return f'decode_head.ups.{levels - 1 - int(match[1])}.{match[2]}'
    if match := _OUT.fullmatch(name):
        return f'decode_head.outs.{levels - 1 - int(match[1])}.{match[2]}'
    return None


def _is_unet(weights: Weights) -> bool:
    plain = has(weights, 'encoder.stages.0.0.convs.0.')
    return plain or has(weights, 'encoder.stages.0.blocks.0.conv1.', 'encoder.stem.')


def _has_plan(file: FileContent) -> bool:
    return isinstance(file.beside.get('nnssl_adaptation_plan'), Mapping)


def _read_plan(file: FileContent) -> dict[str, Any]:
    """What an adaptation plan says of the pretraining; spacing and patch come (Z, Y, X) and leave (X, Y, Z)."""
    plan = file.beside['nnssl_adaptation_plan']
    architecture = plan.get('architecture_plans') or {}
    configurations = (plan.get('pretrain_plan') or {}).get('configurations') or {}
    first: Mapping[str, Any] = next(iter(configurations.values()), {})
    trainer = file.beside.get('trainer_name')
    found = dict(
        method=f'nnssl {trainer}' if trainer else None,
        published_architecture=architecture.get('arch_class_name'),
        spacing=_turned(first.get('spacing')),
        window=_turned(first.get('patch_size')),
        intensity=first.get('normalization_schemes'),
        channels=plan.get('pretrain_num_input_channels'),
    )
    return {key: value for key, value in found.items() if value is not None}


def _turned(values: Any) -> list[Any] | None:
    return list(reversed(values)) if isinstance(values, list | tuple) else None


_COMMON: dict[str, Any] = dict(
    anchor=r'encoder\.(?:stages|stem)\.',
    rename=rename,
    encoder=r'encoder\..*',
    classes=r'decoder\.seg_layers\..*',
    inputs=r'encoder\.(?:stem|stages\.0\.0)\.convs\.0\.conv\.weight',
    aliases=r'(?:^|\.)decoder\.encoder\.|\.all_modules\.',
    reversed_axes=True,
)
NNUNET = Naming(
    name='nnunet',
    about='nnU-Net v2, plain and ResEnc U-Net (VoComni_nnunet.pt too)',
    recognises=lambda weights, file: _is_unet(weights) and not _has_plan(file),
    **_COMMON,
)
NNSSL = Naming(
    name='nnssl',
    about='nnssl, ResEnc U-Net with its adaptation plan',
    recognises=lambda weights, file: _is_unet(weights) and _has_plan(file),
    read_facts=_read_plan,
    **_COMMON,
)
