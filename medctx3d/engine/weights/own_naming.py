"""The names that this package gives to its tensors, and what its checkpoints say of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from medctx3d.engine.weights.naming import FileContent, Naming, Weights, by_patterns, has
from medctx3d.engine.weights.pymic_naming import FMUNET, PCTNET
from medctx3d.utils.config_text import read_config_text

_FACTS = ('method', 'data', 'licence', 'patch_merging', 'orientation', 'spacing', 'window', 'intensity')


def _is_ours(weights: Weights, file: FileContent) -> bool:
    del weights
    names = file.weights
    whole = bool(names) and all(name.startswith('net.') for name in names)
    return whole or has(names, 'network.') or has(names, 'backbone.', 'decode_head.')


def _read_facts(file: FileContent) -> dict[str, Any]:
    """From the header of a published file, or from the config that a checkpoint carries as text."""
    if file.header:
        found = {key: _plain(file.header[key]) for key in _FACTS if key in file.header}
        return {key: value for key, value in found.items() if value not in (None, '', 'not stated')}
    meta = file.beside.get('meta')
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    config = read_config_text(text) if isinstance(text, str) else {}
    model = config.get('model') or {}
    backbone = (model.get('network') or {}).get('backbone') or {}
    facts = dict(config=config) if config else {}
    if backbone.get('type') == 'SwinUNETREncoder':
        facts['patch_merging'] = backbone.get('patch_merging', 'current')
    return facts


def _plain(text: str) -> Any:
    """A value of a header, which is text as it is or JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


OWN = Naming(
    name='medctx3d',
    about='checkpoints and published weights of this package: networks, their teachers, pretrained encoders',
    anchor=r'(?:backbone|decode_head|net)\.',
    recognises=_is_ours,
    rename=by_patterns((r'(.*)', r'\1')),
    encoder=rf'backbone\..*|{PCTNET.encoder}|{FMUNET.encoder}',
    classes=r'(?:decode_head|net)\..*(?:\bouts?\b|out_conv\d|out_layers|output|head|final|logits).*',
    inputs=r'(?:backbone\.)?(?:patch_embed\.proj|vit\.patch_embedding\.patch_embeddings(?:\.1)?|'
    r'encoder1\.layer\.conv[13]\.conv|stages\.0\.(?:0\.)?conv(?:[13]\.conv)?|stem\.0)\.weight|net\.(?:convInit\.conv|stem|input_block\.conv[13]\.conv|project|embeddings\.\d\.proj\..*)\.weight',
    idle=r'(?:local_)?projector\..*',  # a pretraining compares what they give, a segmentor has no use for it
    read_facts=_read_facts,
)
