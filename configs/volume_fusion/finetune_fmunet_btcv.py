"""FMUNet on BTCV, from Volume Fusion. Scratch: ../fmunet/fmunet_btcv.py

The file is what fmunet_btcv.py left in its work dir; the variable PRETRAINED names another.
"""

_base_ = [
    '../_base_/models/fmunet.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adam_6k.py',
    '../_base_/default_runtime.py',
]

patch_size = (128, 128, 64)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
train_dataloader = dict(batch_size=2)
model = dict(
    network=dict(
        net=dict(mode=1),
        init_cfg=dict(
            type='PretrainedWeights',
            checkpoint='{{$PRETRAINED:work_dirs/volume_fusion/fmunet_btcv/iter_100000.pth}}',
            part='encoder_decoder',
            leave_out=('net.out_layers.*.2.*',),  # levels are no organs
        ),
    ),
)
