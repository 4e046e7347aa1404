"""A small U-Net on head and neck CT, supervised only: the baseline of ../medcontext/unet_head_neck.py"""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
