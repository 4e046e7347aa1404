"""Control: supervised only, as long as a MedContext training computes. Compare: ../medcontext/unet_head_neck.py"""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

equal_compute = 7 / 3  # a MedContext step: two passes with gradient (3 units each) and one without (1), over 3
train_cfg = dict(max_iters=3500, val_interval=100000)  # 7/3 of 1500; no validation: nothing is selected
