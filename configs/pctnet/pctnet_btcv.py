"""PCT-Net on BTCV, supervised only: the baseline of ../medcontext/pctnet_btcv.py"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adam_6k.py',
    '../_base_/default_runtime.py',
]

patch_size = (128, 128, 64)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
train_dataloader = dict(batch_size=2)
