"""Swin UNETR on BTCV, its encoder from VoCo. Scratch: ../swin_unetr/swinunetr_btcv.py

The file is what swinunetr_btcv_paper.py left in its work dir; the variable PRETRAINED names another.
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
            checkpoint='{{$PRETRAINED:work_dirs/voco/swinunetr_btcv_paper/iter_250000.pth}}',
            part='encoder',
            leave_out=('backbone.encoder[1-4].*',),  # this form pools the deepest level alone: they are as they began
        ),
    ),
)
