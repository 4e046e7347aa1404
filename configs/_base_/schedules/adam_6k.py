"""Adam at 1e-3 with polynomial decay: fine-tuning as in the demo published with Volume Fusion (6,000 steps).

A scheduler without ``end`` runs to ``train_cfg.max_iters``.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=6000, val_interval=6000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-5))
param_scheduler = [dict(type='PolyLR', power=0.8, eta_min=0.0, by_epoch=False)]
