"""Swin UNETR on BTCV, from Volume Fusion. Scratch: ../swin_unetr/swinunetr_btcv.py

The file is what swinunetr_btcv.py left in its work dir; the variable PRETRAINED names another.
"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(
        init_cfg=dict(
            type='PretrainedWeights',
            checkpoint='{{$PRETRAINED:work_dirs/volume_fusion/swinunetr_btcv/iter_100000.pth}}',
            part='encoder_decoder',
            leave_out=('decode_head.out.*',),  # levels are no organs
        ),
    ),
)
