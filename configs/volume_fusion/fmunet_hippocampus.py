"""FMUNet on the hippocampus without labels, pretrained by Volume Fusion (arXiv 2306.16925).

Fine-tuning: finetune_fmunet_hippocampus.py
"""

_base_ = [
    '../_base_/models/fmunet.py',
    '../_base_/datasets/hippocampus_levels.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

patch_size = (16, 32, 16)  # voxels: multiples of the coarsest stride that fit into every volume
model = dict(
    network=dict(net=dict(channels=(8, 16, 32, 64, 128))),
    data_preprocessor=dict(
        type='VolumeFusionPreprocessor',
        sampling=dict(name='paper_boxes', smallest=4),  # the crops are small
    ),
)
