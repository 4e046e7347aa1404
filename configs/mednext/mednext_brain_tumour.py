"""MedNeXt S on the brain tumours, supervised only: the baseline of ../medcontext/mednext_brain_tumour.py"""

_base_ = [
    '../_base_/models/mednext.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/adamw_250k.py',
    '../_base_/default_runtime.py',
]
