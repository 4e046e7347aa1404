"""AdamW at 1e-3 with polynomial decay: the recipe of MedNeXt (1000 epochs of 250 steps).

The published rate changes once per epoch, here at every step. The published runs use mixed precision: add --amp.
A scheduler without ``end`` runs to ``train_cfg.max_iters``.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=250000, val_interval=250000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, eps=1e-4, weight_decay=3e-5),  # a large eps keeps half precision finite
    clip_grad=dict(max_norm=12.0),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False)]
