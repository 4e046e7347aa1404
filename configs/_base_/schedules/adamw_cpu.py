"""AdamW and cosine for networks small enough for a CPU: minutes, not days.

A scheduler without ``end`` runs to ``train_cfg.max_iters``.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=1500, val_interval=500)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4), clip_grad=dict(max_norm=12.0)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=50),
]
