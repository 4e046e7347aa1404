"""FMUNet on the brain tumours, supervised only: the baseline of ../medcontext/fmunet_brain_tumour.py"""

_base_ = [
    '../_base_/models/fmunet.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/adam_6k.py',
    '../_base_/default_runtime.py',
]
