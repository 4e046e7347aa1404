"""A residual U-Net small enough for a laptop."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(type='UNetEncoder', in_channels='$in_channels', channels=(8, 16, 32, 64), strides=(1, 2, 2, 2)),
        decode_head=dict(type='UNetDecoder', num_classes='$num_classes'),
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
