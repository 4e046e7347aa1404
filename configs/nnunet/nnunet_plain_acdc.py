"""Plain nnU-Net on ACDC, supervised only: the baseline of ../medcontext/nnunet_plain_acdc.py"""

_base_ = [
    '../_base_/models/nnunet_plain.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (224, 256, 14)  # voxels
train_dataloader = dict(batch_size=5)
model = dict(network=dict(backbone=dict(strides=(1, (2, 2, 1), (2, 2, 1), 2, (2, 2, 1), (2, 2, 1)))))
