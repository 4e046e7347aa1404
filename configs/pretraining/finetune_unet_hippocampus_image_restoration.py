"""A small U-Net on the hippocampus, encoder and decoder from the restoration of volumes. From scratch:
../unet/unet_hippocampus.py

The file is what unet_hippocampus_image_restoration.py left in its work dir; the variable PRETRAINED names another.
"""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        init_cfg=dict(
            type='PretrainedWeights',
            checkpoint='{{$PRETRAINED:work_dirs/pretraining/unet_hippocampus_image_restoration/iter_1500.pth}}',
            part='encoder_decoder',
            leave_out=('decode_head.outs.*',),  # intensities are no organs
        ),
    ),
)
