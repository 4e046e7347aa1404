"""A small U-Net on head and neck CT, its encoder from momentum contrast. Scratch: ../unet/unet_head_neck.py

The file is what unet_head_neck_moco.py left in its work dir; the variable PRETRAINED names another.
"""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        init_cfg=dict(
            type='PretrainedWeights',
            checkpoint='{{$PRETRAINED:work_dirs/pretraining/unet_head_neck_moco/iter_1500.pth}}',
            part='encoder',
            weights_of='student',
        ),
    ),
)
