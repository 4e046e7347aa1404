"""DynUNet on the hippocampus, supervised only: the baseline of ../medcontext/dynunet_hippocampus.py"""

_base_ = [
    '../_base_/models/dynunet.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        net=dict(
            kernel_size=(3, 3, 3, 3),
            strides=(1, 2, 2, 2),
            upsample_kernel_size=(2, 2, 2),
            filters=(16, 32, 64, 128),
            deep_supr_num=1,
        )
    ),
    criterion=dict(level_weights=(2 / 3, 1 / 3)),
)
