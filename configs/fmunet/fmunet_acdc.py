"""FMUNet on ACDC, supervised only: the baseline of ../medcontext/fmunet_acdc.py"""

_base_ = [
    '../_base_/models/fmunet.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adam_6k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(net=dict(mode=2)),
)
