"""PCT-Net (arXiv 2306.16925) in the published widths, for slices twice as far apart as pixels; Dice + CE."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='WholeNet',
        net=dict(type='PCTNet', in_channels='$in_channels', num_classes='$num_classes', mode=1, levels=4),
    ),
    criterion=dict(
        type='SegCriterion',
        level_weights=(8 / 15, 4 / 15, 2 / 15, 1 / 15),  # halved per level
        loss_dice_ce=dict(
            type='monai.losses.DiceCELoss', to_onehot_y=True, softmax=True, lambda_dice=0.5, lambda_ce=0.5
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
