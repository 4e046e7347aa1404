"""Fine-tuning, schedule "sawtooth": a warm-up of the decoder alone, then one of everything, then decay.

Each warm-up takes 5 % of the steps; the rate falls back to its start between them, hence the name. See
docs/explanation/weights.md for how this reads arXiv 2412.17041. A leaf with ``custom_hooks`` of its own replaces
these: it must repeat the FreezeHook.
"""

_base_ = ['./finetune_default.py']

stage_iters = 1875
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=stage_iters),
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=stage_iters, end=2 * stage_iters),
    dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=2 * stage_iters),
]
custom_hooks = [dict(type='FreezeHook', modules=('network.backbone',), until=stage_iters)]
find_unused_parameters = True  # distributed training waits for gradients of frozen weights otherwise
