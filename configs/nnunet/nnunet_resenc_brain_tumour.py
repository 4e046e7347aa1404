"""Residual nnU-Net on the brain tumours, supervised only.

The baseline of ../medcontext/nnunet_resenc_brain_tumour.py
"""

_base_ = [
    '../_base_/models/nnunet_resenc.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]
