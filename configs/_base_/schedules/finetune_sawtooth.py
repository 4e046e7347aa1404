"""Fine-tuning, schedule "sawtooth": a warm-up of the decoder alone, then one of everything, then decay.

Each warm-up takes 5 % of the steps; the rate falls back to its start between them, hence the name. See
docs/explanation/weights.md for how this reads arXiv 2412.17041. A leaf with ``custom_hooks`` of its own replaces
these: it must repeat the FreezeHook.
"""

_base_ = ['./finetune_default.py']

stage = 0.05  # of train_cfg.max_iters
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, end_share=stage),
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin_share=stage, end_share=2 * stage),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin_share=2 * stage),
]
custom_hooks = [dict(type='FreezeHook', modules=('network.backbone',), until=stage)]
find_unused_parameters = True  # distributed training waits for gradients of frozen weights otherwise
