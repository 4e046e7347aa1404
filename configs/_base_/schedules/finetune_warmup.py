"""Fine-tuning, schedule "warm-up": the rate of the whole network rises over 5 % of the steps, then decays."""

_base_ = ['./finetune_default.py']

stage_iters = 1875
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=stage_iters),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=stage_iters),
]
