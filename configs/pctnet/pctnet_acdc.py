"""PCT-Net on ACDC, supervised only: the baseline of ../medcontext/pctnet_acdc.py"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adam_6k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(net=dict(mode=2)),
)
