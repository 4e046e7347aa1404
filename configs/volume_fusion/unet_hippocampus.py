"""A small U-Net on the hippocampus without labels, pretrained by Volume Fusion (arXiv 2306.16925).

Fine-tuning: finetune_unet_hippocampus.py
"""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus_levels.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        type='VolumeFusionPreprocessor',
        sampling=dict(name='paper_boxes', smallest=4),  # the crops are small
    ),
    criterion=dict(loss_dice_ce=dict(include_background=True, lambda_dice=0.5, lambda_ce=0.5)),
)
