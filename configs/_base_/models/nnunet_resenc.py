"""nnU-Net's residual encoder U-Net, ResEnc M and L (arXiv 2404.09556), six stages for isotropic voxels.

The published network has a fifth level, which it computes and weighs 0.
"""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='NNUNetEncoder',
            in_channels='$in_channels',
            channels=(32, 64, 128, 256, 320, 320),
            strides=(1, 2, 2, 2, 2, 2),
            block='residual',
            depths=(1, 3, 4, 6, 6, 6),
        ),
        decode_head=dict(type='NNUNetDecoder', num_classes='$num_classes', depth=1, levels=4),
    ),
    criterion=dict(
        type='SegCriterion',
        level_weights=(8 / 15, 4 / 15, 2 / 15, 1 / 15),  # halved per level
        loss_dice_ce=dict(type='monai.losses.DiceCELoss', to_onehot_y=True, softmax=True, include_background=False),
    ),
    inferer=dict(
        type='StreamedWindowInferer',
        roi_size='$patch_size',
        sw_batch_size=4,
        overlap=0.5,
        mode='gaussian',
    ),
)
