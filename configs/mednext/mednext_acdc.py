"""MedNeXt S on ACDC, supervised only: the baseline of ../medcontext/mednext_acdc.py"""

_base_ = [
    '../_base_/models/mednext.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adamw_250k.py',
    '../_base_/default_runtime.py',
]
