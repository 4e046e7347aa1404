"""The small U-Net at half resolution, for volumes that are large for a CPU.

The first stage halves the grid: an eighth of the work, and the logits are interpolated back.
"""

_base_ = ['unet_small.py']

model = dict(network=dict(backbone=dict(block='plain', channels=(16, 32, 64, 128), strides=(2, 2, 2, 2))))
