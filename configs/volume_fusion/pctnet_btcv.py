"""PCT-Net on abdominal CT without labels, pretrained by Volume Fusion (arXiv 2306.16925).

Fine-tuning: finetune_pctnet_btcv.py
"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/btcv_levels.py',
    '../_base_/schedules/adam_100k.py',
    '../_base_/default_runtime.py',
]

patch_size = (128, 128, 64)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
model = dict(
    data_preprocessor=dict(type='VolumeFusionPreprocessor', num_levels=4, sampling='paper_boxes'),
)
