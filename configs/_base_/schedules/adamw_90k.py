"""AdamW, warm-up, cosine to 0: the published recipe of UNETR with MedContext (5000 epochs of 18 steps).

The published run uses mixed precision: add --amp.
A scheduler without ``end`` runs to ``train_cfg.max_iters``.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=90000, val_interval=90000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=900),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=900),
]
