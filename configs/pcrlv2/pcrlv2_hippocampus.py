"""PCRLv2's 3D U-Net on the hippocampus, supervised only: the baseline of ../medcontext/pcrlv2_hippocampus.py"""

_base_ = [
    '../_base_/models/pcrlv2.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(network=dict(backbone=dict(channels=(16, 32, 64, 128))))
