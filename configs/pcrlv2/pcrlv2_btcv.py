"""PCRLv2's 3D U-Net on BTCV, supervised only: the baseline of ../medcontext/pcrlv2_btcv.py"""

_base_ = [
    '../_base_/models/pcrlv2.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
