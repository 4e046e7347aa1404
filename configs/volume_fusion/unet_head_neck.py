"""A small U-Net on head and neck CT without labels, pretrained by Volume Fusion (arXiv 2306.16925).

Fine-tuning: finetune_unet_head_neck.py
"""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck_levels.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(type='VolumeFusionPreprocessor', num_levels=4, sampling='paper_boxes'),
    criterion=dict(loss_dice_ce=dict(include_background=True, lambda_dice=0.5, lambda_ce=0.5)),
)
