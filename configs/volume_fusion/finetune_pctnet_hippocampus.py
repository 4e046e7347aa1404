"""PCT-Net on the hippocampus, from Volume Fusion. Scratch: ../pctnet/pctnet_hippocampus.py

The file is what pctnet_hippocampus.py left in its work dir; the variable PRETRAINED names another.
"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        net=dict(mode=0, channels=(8, 12, 16, 32, 64), num_heads=(2, 4, 8), windows=(4, 4, 4)),
        init_cfg=dict(
            type='PretrainedWeights',
            checkpoint='{{$PRETRAINED:work_dirs/volume_fusion/pctnet_hippocampus/iter_1500.pth}}',
            part='encoder_decoder',
            leave_out=('net.*.out_conv?.conv.2.*',),  # levels are no organs
        ),
    ),
)
