"""UNETR on the brain tumours, supervised only: the baseline of ../medcontext/unetr_brain_tumour.py"""

_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
