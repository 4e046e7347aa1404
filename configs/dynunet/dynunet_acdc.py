"""DynUNet on ACDC, supervised only: the baseline of ../medcontext/dynunet_acdc.py"""

_base_ = [
    '../_base_/models/dynunet.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (224, 256, 14)  # voxels
model = dict(
    network=dict(
        net=dict(
            kernel_size=((3, 3, 1), (3, 3, 1), 3, 3, 3, 3),
            strides=(1, (2, 2, 1), (2, 2, 1), 2, (2, 2, 1), (2, 2, 1)),
            upsample_kernel_size=((2, 2, 1), (2, 2, 1), 2, (2, 2, 1), (2, 2, 1)),
        )
    )
)
