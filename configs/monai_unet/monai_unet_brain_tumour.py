"""MONAI's UNet on the brain tumours, supervised only: the baseline of ../medcontext/monai_unet_brain_tumour.py"""

_base_ = [
    '../_base_/models/monai_unet.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
