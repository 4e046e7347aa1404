"""Control: clean and masked crops supervised, no teacher. Compare: ../medcontext/unet_hippocampus.py"""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.4, axis=2),
            patch_size=(8, 8, 8),
            consistency=None,
        )
    ),
)
