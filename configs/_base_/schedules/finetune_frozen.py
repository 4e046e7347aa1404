"""Fine-tuning, schedule "frozen": the encoder keeps its pretrained weights, the decoder learns.

A leaf with ``custom_hooks`` of its own replaces these: it must repeat the FreezeHook.
"""

_base_ = ['./finetune_default.py']

custom_hooks = [dict(type='FreezeHook', modules=('network.backbone',))]
find_unused_parameters = True  # distributed training waits for gradients of frozen weights otherwise
