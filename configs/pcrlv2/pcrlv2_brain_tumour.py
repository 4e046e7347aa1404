"""PCRLv2's 3D U-Net on the brain tumours, supervised only: the baseline of ../medcontext/pcrlv2_brain_tumour.py"""

_base_ = [
    '../_base_/models/pcrlv2.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
