"""PCRLv2's 3D U-Net on ACDC, supervised only: the baseline of ../medcontext/pcrlv2_acdc.py"""

_base_ = [
    '../_base_/models/pcrlv2.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
