"""Residual nnU-Net on the hippocampus, supervised only: the baseline of ../medcontext/nnunet_resenc_hippocampus.py"""

_base_ = [
    '../_base_/models/nnunet_resenc.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        backbone=dict(channels=(16, 32, 64, 128), strides=(1, 2, 2, 2), depths=(1, 3, 4, 6)),
        decode_head=dict(levels=2),
    ),
    criterion=dict(level_weights=(2 / 3, 1 / 3)),
)
