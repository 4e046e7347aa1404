"""MONAI's SegResNet (after arXiv 1810.11654), without its autoencoder branch."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='WholeNet',
        net=dict(
            type='monai.networks.nets.SegResNet',
            spatial_dims=3,
            in_channels='$in_channels',
            out_channels='$num_classes',
            init_filters=16,
            blocks_down=(1, 2, 2, 4),
            blocks_up=(1, 1, 1),
            dropout_prob=0.2,
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
