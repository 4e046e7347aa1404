"""Swin UNETR on ACDC, supervised only: the baseline of ../medcontext/swinunetr_acdc.py"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]

patch_size = (160, 160, 32)  # voxels: the network halves 5 times
spacing = (1.5234, 1.5234, 3.175)  # mm: half the slice distance instead of padding
