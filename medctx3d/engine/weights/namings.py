"""Every naming of weights that is read, one per family of files."""

from __future__ import annotations

from typing import Any

from medctx3d.engine.weights.naming import FileContent, Naming, Weights, by_patterns, has
from medctx3d.engine.weights.nnunet_naming import NNSSL, NNUNET
from medctx3d.engine.weights.own_naming import OWN
from medctx3d.engine.weights.pymic_naming import FMUNET, PCTNET

_VOCO_CT = dict(orientation='RAS', intensity='HU -175..250 to 0..1 (chest CT -1000..500)')
_VOCO_CLASSES = 21


def _swin(**changes: Any) -> Naming:
    """MONAI's Swin UNETR, which has published weights under several wrappings."""
    common: dict[str, Any] = dict(
        anchor=r'swin(?:ViT|_vit)\.patch_embed\.',
        rename=by_patterns(
            (r'swin(?:ViT|_vit)\.(patch_embed\..*)', r'backbone.\1'),
            (r'swin(?:ViT|_vit)\.(layers.*)', r'backbone.swinViT.\1'),
            (r'(encoder(?:1|2|3|4|10)\..*)', r'backbone.\1'),
            (r'((?:decoder[1-5]|out)\..*)', r'decode_head.\1'),
        ),
        encoder=r'(?:swin(?:ViT|_vit)|patch_embed|encoder\d+)\..*',
        classes=r'out\..*',
        inputs=r'(?:swin(?:ViT|_vit)\.)?(?:patch_embed\.proj|encoder1\.layer\.conv[13]\.conv)\.weight',
    )
    return Naming(**{**common, **changes})


def _unetr(**changes: Any) -> Naming:
    """MONAI's UNETR."""
    common: dict[str, Any] = dict(
        anchor=r'vit\.patch_embedding\.',
        rename=by_patterns(
            (r'(vit\..*|encoder[1-4]\..*)', r'backbone.\1'), (r'((?:decoder[2-5]|out)\..*)', r'decode_head.\1')
        ),
        encoder=r'(?:vit|encoder[1-4]|patch_embedding|blocks|norm|mask_token)\b.*',
        classes=r'out\..*',
        idle=r'(?:vit\.)?(?:blocks\.\d+\.(?:norm_)?cross_attn\..*|patch_embedding\.cls_token)',
        inputs=r'(?:vit\.)?(?:patch_embedding\.patch_embeddings(?:\.1)?|encoder1\.layer\.conv[13]\.conv)\.weight',
    )
    return Naming(**{**common, **changes})


def _is_voco_encoder(weights: Weights) -> bool:
    return has(weights, 'swinViT.layers1c.', 'encoder10.') and not has(weights, 'decoder5.')


def _is_vocomni(weights: Weights) -> bool:
    classes = weights.get('out.conv.conv.weight')
    return has(weights, 'swinViT.layers1c.', 'decoder5.') and classes is not None and len(classes) == _VOCO_CLASSES


def _is_universal(file: FileContent) -> bool:
    """Whether the heads of the universal model, which SuPreM trains, lie beside the network."""
    return file.mentions('.precls_conv.', '.organ_embedding')


def _is_projection(file: FileContent) -> bool:
    """Whether a projection head of VoCo's own training lies beside the encoder."""
    return file.mentions('.proj_head.', '.student.layer1.', '.teacher.layer1.', '.p.layer1.')


VOCO_SSL_HEAD = _swin(
    name='voco_ssl_head',
    about='VoCo_{B,L,H}_SSL_head.pt: the encoder of Swin UNETR-V2',
    recognises=lambda weights, file: _is_voco_encoder(weights) and not _is_projection(file),
    facts=dict(method='VoCo (arXiv 2410.09890)', patch_merging='legacy', window=[64, 64, 64], **_VOCO_CT),
)
VOCOMNI = _swin(
    name='vocomni',
    about='VoComni_{B,L,H}.pt: all of Swin UNETR-V2, 21 classes',
    recognises=lambda weights, file: _is_vocomni(weights),
    facts=dict(method='VoComni (arXiv 2410.09890)', patch_merging='legacy', window=[64, 64, 64], **_VOCO_CT),
)
VOCO_TRAINING = _swin(
    name='voco_training',
    about="checkpoints of VoCo's own pretraining code, projection heads beside the encoder",
    anchor=r'swinViT\.',
    recognises=lambda weights, file: has(weights, 'swinViT.patch_embed.') and _is_projection(file),
    facts=dict(method='VoCo'),
)
SUPREM_SWIN = _swin(
    name='suprem_swin_unetr',
    about="SuPreM's Swin UNETR (supervised_suprem_swinunetr_2100.pth)",
    recognises=lambda weights, file: has(weights, 'swinViT.patch_embed.') and _is_universal(file),
    facts=dict(method='SuPreM (supervised)', patch_merging='legacy'),
)
SUPREM_SEGRESNET = Naming(
    name='suprem_segresnet',
    about="MONAI's SegResNet, as SuPreM publishes it (supervised_suprem_segresnet_2100.pth)",
    anchor=r'convInit\.',
    recognises=lambda weights, file: has(weights, 'convInit.', 'down_layers.', 'conv_final.'),
    rename=by_patterns((r'((?:convInit|down_layers|up_layers|up_samples|conv_final)\..*)', r'net.\1')),
    encoder=r'(?:convInit|down_layers)\..*',
    classes=r'conv_final\.2\..*',
    inputs=r'convInit\.conv\.weight',
)
MONAI_SWIN = _swin(
    name='monai_swin_unetr',
    about="MONAI's Swin UNETR, v1 and v2",
    recognises=lambda weights, file: (
        has(weights, 'swin')
        and not (_is_voco_encoder(weights) or _is_vocomni(weights))
        and not (_is_projection(file) or _is_universal(file))
    ),
)
MONAI_SWIN_VIT = _swin(
    name='monai_swin_vit',
    about="MONAI's self-supervised Swin transformer of 2022 (model_swinvit.pt)",
    anchor=r'patch_embed\.proj\.',
    recognises=lambda weights, file: (
        has(weights, 'patch_embed.', 'layers1.0.') and not file.mentions('.swinViT.', '.swin_vit.')
    ),
    rename=by_patterns(
        (r'(patch_embed\..*)', r'backbone.\1'),
        (r'(layers.*\.mlp\.)fc([12]\..*)', r'backbone.swinViT.\1linear\2'),
        (r'(layers.*)', r'backbone.swinViT.\1'),
    ),
    encoder=r'(?:swinViT|patch_embed|layers\d|encoder\d+)\b.*',
    facts=dict(method='Swin UNETR self-supervision (arXiv 2111.14791)', patch_merging='legacy'),
)
MONAI_UNETR = _unetr(
    name='monai_unetr',
    about="MONAI's UNETR",
    recognises=lambda weights, file: has(weights, 'vit.patch_embedding.', 'vit.blocks.'),
)
MEDCONTEXT_UNETR = _unetr(
    name='medcontext_unetr',
    about="UNETR of MedContext's released code, its student or its teacher",
    anchor=r'patch_embedding\.',
    recognises=lambda weights, file: has(weights, 'patch_embedding.', 'blocks.0.', 'encoder2.'),
    rename=by_patterns(
        (r'((?:patch_embedding|blocks|norm)\..*)', r'backbone.vit.\1'),
        (r'(mask_token|encoder[1-4]\..*)', r'backbone.\1'),
        (r'((?:decoder[2-5]|out)\..*)', r'decode_head.\1'),
    ),
    facts=dict(
        method='MedContext (arXiv 2402.17725)',
        orientation='RAS',
        spacing=[1.5, 1.5, 2.0],
        intensity='HU -175..250 to 0..1',
        window=[96, 96, 96],
    ),
)

NAMINGS: dict[str, Naming] = {
    naming.name: naming
    for naming in (
        OWN,
        MONAI_UNETR,
        MONAI_SWIN,
        MONAI_SWIN_VIT,
        VOCO_SSL_HEAD,
        VOCOMNI,
        VOCO_TRAINING,
        SUPREM_SWIN,
        SUPREM_SEGRESNET,
        MEDCONTEXT_UNETR,
        PCTNET,
        FMUNET,
        NNUNET,
        NNSSL,
    )
}
