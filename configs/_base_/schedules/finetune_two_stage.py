"""Fine-tuning, schedule "two-stage": the decoder learns alone for 5 % of the steps, then everything.

A leaf with ``custom_hooks`` of its own replaces these: it must repeat the FreezeHook.
"""

_base_ = ['./finetune_default.py']

stage = 0.05  # of train_cfg.max_iters
custom_hooks = [dict(type='FreezeHook', modules=('network.backbone',), until=stage)]
find_unused_parameters = True  # distributed training waits for gradients of frozen weights otherwise
