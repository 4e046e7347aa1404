"""Fine-tuning, schedule "warm-up": the rate of the whole network rises over 5 % of the steps, then decays."""

_base_ = ['./finetune_default.py']

stage = 0.05  # of train_cfg.max_iters
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, end_share=stage),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin_share=stage),
]
