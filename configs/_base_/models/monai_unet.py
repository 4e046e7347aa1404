"""MONAI's UNet with residual units (after Kerfoot et al., STACOM 2018)."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='WholeNet',
        net=dict(
            type='monai.networks.nets.UNet',
            spatial_dims=3,
            in_channels='$in_channels',
            out_channels='$num_classes',
            channels=(16, 32, 64, 128, 256),
            strides=(2, 2, 2, 2),
            num_res_units=2,
        ),
    ),
    criterion=dict(
        type='SegCriterion',
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
