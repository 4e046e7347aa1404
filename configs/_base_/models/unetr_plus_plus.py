"""UNETR++ (arXiv 2212.04497), the variant for Synapse: crops of (128, 128, 64) voxels, three levels."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='UNETRPlusPlusEncoder',
            in_channels='$in_channels',
            img_size='$patch_size',
            token_patch=(4, 4, 2),
            projection='shared',
            fusion='concat',
            convolutions=1,
            attention_dropout=0.15,
        ),
        decode_head=dict(
            type='UNETRPlusPlusDecoder',
            num_classes='$num_classes',
            img_size='$patch_size',
            levels=3,
            projection='shared',
            fusion='concat',
            convolutions=1,
            attention_dropout=0.15,
        ),
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
