"""A small U-Net on head and neck CT, from Volume Fusion. Scratch: ../unet/unet_head_neck.py

The file is what unet_head_neck.py left in its work dir; the variable PRETRAINED names another.
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
            checkpoint='{{$PRETRAINED:work_dirs/volume_fusion/unet_head_neck/iter_1500.pth}}',
            part='encoder_decoder',
            leave_out=('decode_head.outs.*',),  # levels are no organs
        ),
    ),
)
