"""Swin UNETR on abdominal CT without labels, pretrained by Volume Fusion (arXiv 2306.16925).

Fine-tuning: finetune_swinunetr_btcv.py
"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/btcv_levels.py',
    '../_base_/schedules/adam_100k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(type='VolumeFusionPreprocessor', num_levels=4, sampling='paper_boxes'),
    criterion=dict(loss_dice_ce=dict(include_background=True, lambda_dice=0.5, lambda_ce=0.5)),
)
