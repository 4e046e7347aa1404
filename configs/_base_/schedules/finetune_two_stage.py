"""Fine-tuning, schedule "two-stage": the decoder learns alone for 5 % of the steps, then everything.

A leaf with ``custom_hooks`` of its own replaces these: it must repeat the FreezeHook.
"""

_base_ = ['./finetune_default.py']

stage_iters = 1875
custom_hooks = [dict(type='FreezeHook', modules=('network.backbone',), until=stage_iters)]
find_unused_parameters = True  # distributed training waits for gradients of frozen weights otherwise
