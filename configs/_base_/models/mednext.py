"""MedNeXt S with kernel 3 (arXiv 2303.09975), as MONAI has it since 1.5."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='WholeNet',
        net=dict(
            type='monai.networks.nets.MedNeXt',
            spatial_dims=3,
            in_channels='$in_channels',
            out_channels='$num_classes',
            init_filters=32,
            kernel_size=3,
            use_residual_connection=True,
            deep_supervision=True,
        ),
    ),
    criterion=dict(
        type='SegCriterion',
        level_weights=(16 / 31, 8 / 31, 4 / 31, 2 / 31, 1 / 31),  # halved per level
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
