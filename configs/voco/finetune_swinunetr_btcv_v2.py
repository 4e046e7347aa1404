"""Swin UNETR on BTCV, its encoder from VoCo. Scratch: ../swin_unetr/swinunetr_btcv.py

The file is what swinunetr_btcv_v2.py left in its work dir; the variable PRETRAINED names another.
"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(
        backbone=dict(use_v2=True),
        init_cfg=dict(
            type='PretrainedWeights',
            checkpoint='{{$PRETRAINED:work_dirs/voco/swinunetr_btcv_v2/iter_2000000.pth}}',
            part='encoder',
            weights_of='student',
        ),
    ),
)
