"""Swin UNETR (arXiv 2201.01266)."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(type='SwinUNETREncoder', in_channels='$in_channels', feature_size=48, use_checkpoint=True),
        decode_head=dict(type='SwinUNETRDecoder', num_classes='$num_classes'),
    ),
    criterion=dict(
        type='SegCriterion',
        loss_dice_ce=dict(
            type='monai.losses.DiceCELoss',
            to_onehot_y=True,
            softmax=True,
            squared_pred=True,
            smooth_nr=0.0,
            smooth_dr=1e-6,
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
