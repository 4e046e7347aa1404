"""AdamW with AMSGrad, warm-up of 5000 steps, cosine to 0: the recipe of VoCo's released code.

Its weight decay is torch's default: the flag for another is not passed on. The runs use mixed precision: add --amp.
A scheduler without ``end`` runs to ``train_cfg.max_iters``; version 2 trains for 2,000,000 steps.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=250000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-2, amsgrad=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=5000),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=5000),
]
