"""UNETR on ACDC, supervised only: the baseline of ../medcontext/unetr_acdc.py"""

_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
