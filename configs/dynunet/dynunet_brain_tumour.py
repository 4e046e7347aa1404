"""DynUNet on the brain tumours, supervised only: the baseline of ../medcontext/dynunet_brain_tumour.py"""

_base_ = [
    '../_base_/models/dynunet.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]
