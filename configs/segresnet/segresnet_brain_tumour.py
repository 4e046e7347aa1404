"""SegResNet on the brain tumours, supervised only: the baseline of ../medcontext/segresnet_brain_tumour.py"""

_base_ = [
    '../_base_/models/segresnet.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]
