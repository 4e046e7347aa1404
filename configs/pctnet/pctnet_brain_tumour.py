"""PCT-Net on the brain tumours, supervised only: the baseline of ../medcontext/pctnet_brain_tumour.py"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/adam_6k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(net=dict(mode=0)),
)
