"""Swin UNETR on the hippocampus, supervised only: the baseline of ../medcontext/swinunetr_hippocampus.py"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

patch_size = (32, 64, 32)  # voxels: the network halves 5 times
train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(network=dict(backbone=dict(feature_size=12, use_checkpoint=False)))
