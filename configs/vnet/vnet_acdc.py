"""V-Net on ACDC, supervised only: the baseline of ../medcontext/vnet_acdc.py"""

_base_ = [
    '../_base_/models/vnet.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
