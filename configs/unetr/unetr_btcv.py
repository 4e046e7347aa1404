"""UNETR on BTCV, supervised only: the baseline of ../medcontext/unetr_btcv.py"""

_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
