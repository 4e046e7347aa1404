"""PCT-Net on the hippocampus, supervised only: the baseline of ../medcontext/pctnet_hippocampus.py"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(net=dict(mode=0, channels=(8, 12, 16, 32, 64), num_heads=(2, 4, 8), windows=(4, 4, 4))),
)
