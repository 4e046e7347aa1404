"""PCRLv2's 3D U-Net (arXiv 2301.00772), without skip connections as published."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(type='PCRLv2Encoder', in_channels='$in_channels', channels=(64, 128, 256, 512)),
        decode_head=dict(type='PCRLv2Decoder', num_classes='$num_classes'),
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
