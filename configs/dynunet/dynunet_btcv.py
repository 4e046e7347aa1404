"""DynUNet on BTCV, supervised only: the baseline of ../medcontext/dynunet_btcv.py"""

_base_ = [
    '../_base_/models/dynunet.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (192, 192, 48)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
train_dataloader = dict(batch_size=2)
model = dict(
    network=dict(
        net=dict(
            kernel_size=((3, 3, 1), 3, 3, 3, 3, 3),
            strides=(1, (2, 2, 1), 2, 2, 2, (2, 2, 1)),
            upsample_kernel_size=((2, 2, 1), 2, 2, 2, (2, 2, 1)),
        )
    ),
    criterion=dict(loss_dice_ce=dict(batch=True)),
)
