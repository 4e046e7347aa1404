"""MONAI's DynUNet (after arXiv 1904.08128), six stages for isotropic voxels, all levels interpolated to full size."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='WholeNet',
        net=dict(
            type='monai.networks.nets.DynUNet',
            spatial_dims=3,
            in_channels='$in_channels',
            out_channels='$num_classes',
            kernel_size=(3, 3, 3, 3, 3, 3),
            strides=(1, 2, 2, 2, 2, 2),
            upsample_kernel_size=(2, 2, 2, 2, 2),
            deep_supervision=True,
            deep_supr_num=3,
        ),
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
