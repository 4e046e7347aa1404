"""nnFormer (arXiv 2109.03201), the variant for Synapse: crops of (128, 128, 64) voxels, three levels."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='NNFormerEncoder',
            in_channels='$in_channels',
            feature_size=192,
            token_patch=(4, 4, 2),
            down_strides=(2, 2, 2),
            windows=(4, 4, 8, 4),
        ),
        decode_head=dict(type='NNFormerDecoder', num_classes='$num_classes', levels=3, windows=(4, 4, 8)),
    ),
    criterion=dict(
        type='SegCriterion',
        level_weights=(4 / 7, 2 / 7, 1 / 7),
        loss_dice_ce=dict(
            type='monai.losses.DiceCELoss',
            to_onehot_y=True,
            softmax=True,
            include_background=False,
            batch=True,  # one Dice over the crops of a batch
        ),
    ),
    inferer=dict(
        type='StreamedWindowInferer',
        roi_size='$patch_size',
        sw_batch_size=4,
        overlap=0.5,
        mode='gaussian',
    ),
)
