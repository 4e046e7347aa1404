"""The plugin's backbone under MedContext on BTCV; everything else comes from the base."""

# Outside the checkout, set MEDCTX3D_CONFIGS to its configs folder.
_base_ = ['{{$MEDCTX3D_CONFIGS:../../configs}}/medcontext/unetr_btcv.py']
custom_imports = dict(imports=['tiny_encoder'])
model = dict(
    network=dict(
        backbone=dict(_delete_=True, type='TinyEncoder', in_channels=1),
        decode_head=dict(_delete_=True, type='UNetDecoder', num_classes=14),
    )
)
