"""MONAI's VNet (arXiv 1606.04797); its widths are fixed."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='WholeNet',
        net=dict(
            type='monai.networks.nets.VNet',
            spatial_dims=3,
            in_channels='$in_channels',
            out_channels='$num_classes',
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
