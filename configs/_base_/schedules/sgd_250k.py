"""SGD with Nesterov momentum and polynomial decay, as nnU-Net, nnFormer and UNETR++ (1000 epochs of 250 steps).

The published rate changes once per epoch, here at every step. The published runs use mixed precision: add --amp.
A scheduler without ``end`` runs to ``train_cfg.max_iters``.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=250000, val_interval=250000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.99, nesterov=True, weight_decay=3e-5),
    clip_grad=dict(max_norm=12.0),
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False)]
