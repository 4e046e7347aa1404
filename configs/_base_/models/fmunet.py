"""FMUNet (PyMIC, with Volume Fusion) in the published widths, for isotropic voxels; Dice + CE."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='WholeNet',
        net=dict(type='FMUNet', in_channels='$in_channels', num_classes='$num_classes', mode=0, levels=4),
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
