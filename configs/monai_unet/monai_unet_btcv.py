"""MONAI's UNet on BTCV, supervised only: the baseline of ../medcontext/monai_unet_btcv.py"""

_base_ = [
    '../_base_/models/monai_unet.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
