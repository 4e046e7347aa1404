"""UNETR on the hippocampus, supervised only: the baseline of ../medcontext/unetr_hippocampus.py"""

_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(network=dict(backbone=dict(feature_size=8, hidden_size=96, mlp_dim=384, num_heads=6)))
