"""Residual nnU-Net on BTCV, supervised only: the baseline of ../medcontext/nnunet_resenc_btcv.py"""

_base_ = [
    '../_base_/models/nnunet_resenc.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (192, 192, 48)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
train_dataloader = dict(batch_size=2)
model = dict(
    network=dict(backbone=dict(strides=(1, (2, 2, 1), 2, 2, 2, (2, 2, 1)))),
    criterion=dict(loss_dice_ce=dict(batch=True)),
)
