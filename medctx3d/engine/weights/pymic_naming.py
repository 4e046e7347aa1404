"""The names that PyMIC gives to the tensors of PCT-Net and FMUNet."""

from __future__ import annotations

from typing import Any

from medctx3d.engine.weights.naming import Naming, by_patterns, has

_COMMON: dict[str, Any] = dict(
    rename=by_patterns((r'(.*)', r'net.\1')),
    facts=dict(method='Volume Fusion (arXiv 2306.16925)'),
)
PCTNET = Naming(
    name='pymic_pctnet',
    about="PyMIC's PCT-Net (pctnet_ct10k_volf.pt)",
    anchor=r'pyramid_ct\.',
    recognises=lambda weights, file: has(weights, 'pyramid_ct.', 'embeddings.'),
    encoder=r'(?:embeddings\..*|pyramid_ct\.(?:down\d|convtrans_e\d)\..*)',
    classes=r'.*\bout_conv\d\..*',
    inputs=r'embeddings\.\d\.proj\..*weight',
    # Of embeddings and heads one in three is trained, and the pyramid's layer norms are never called.
    idle=r'(?:embeddings|pred_heads)\.\d\..*|pyramid_ct\.convtrans_\w+\.norm_layer\..*',
    **_COMMON,
)
FMUNET = Naming(
    name='pymic_fmunet',
    about="PyMIC's FMUNet (fmunet_abk1k_volf.pt)",
    anchor=r'encoder\.en_conv\d',
    recognises=lambda weights, file: has(weights, 'project.', 'encoder.en_conv0.', 'decoder.'),
    encoder=r'(?:project|encoder)\..*',
    classes=r'out_layers\.\d\.2\..*',
    inputs=r'project\.weight',
    **_COMMON,
)
