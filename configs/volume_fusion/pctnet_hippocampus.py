"""PCT-Net on the hippocampus without labels, pretrained by Volume Fusion (arXiv 2306.16925).

Fine-tuning: finetune_pctnet_hippocampus.py
"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/hippocampus_levels.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

patch_size = (16, 32, 16)  # voxels: multiples of the coarsest stride that fit into every volume
model = dict(
    network=dict(net=dict(mode=0, channels=(8, 12, 16, 32, 64), num_heads=(2, 4, 8), windows=(4, 4, 4))),
    data_preprocessor=dict(
        type='VolumeFusionPreprocessor',
        sampling=dict(name='paper_boxes', smallest=4),  # the crops are small
    ),
)
