"""MedNeXt S on BTCV, supervised only: the baseline of ../medcontext/mednext_btcv.py"""

_base_ = [
    '../_base_/models/mednext.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (128, 128, 128)  # voxels
spacing = (1.0, 1.0, 1.0)  # mm, as published
train_dataloader = dict(batch_size=2)
