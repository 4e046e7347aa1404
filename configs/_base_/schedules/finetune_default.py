"""Fine-tuning, schedule "default": everything learns from the first step, as from scratch.

AdamW at 3e-4 (fine-tuning of VoCo, arXiv 2410.09890), 150 epochs of 250 steps (short schedule of arXiv 2412.17041; the
full one is 1000 epochs, max_iters=250000), polynomial decay. The other finetune_* bases change the schedule alone, by
shares of max_iters, so that methods can be compared under each and at any length.
A scheduler without ``end`` runs to ``train_cfg.max_iters``.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=37500, val_interval=37500)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-4, weight_decay=1e-5), clip_grad=dict(max_norm=12.0)
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False)]
