"""FMUNet on the hippocampus, from Volume Fusion. Scratch: ../fmunet/fmunet_hippocampus.py

The file is what fmunet_hippocampus.py left in its work dir; the variable PRETRAINED names another.
"""

_base_ = [
    '../_base_/models/fmunet.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        net=dict(channels=(8, 16, 32, 64, 128)),
        init_cfg=dict(
            type='PretrainedWeights',
            checkpoint='{{$PRETRAINED:work_dirs/volume_fusion/fmunet_hippocampus/iter_1500.pth}}',
            part='encoder_decoder',
            leave_out=('net.out_layers.*.2.*',),  # levels are no organs
        ),
    ),
)
