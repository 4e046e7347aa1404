"""V-Net on BTCV, supervised only: the baseline of ../medcontext/vnet_btcv.py"""

_base_ = [
    '../_base_/models/vnet.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
