"""UNETR (arXiv 2103.10504) as published with MedContext."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='UNETREncoder',
            in_channels='$in_channels',
            img_size='$patch_size',
            feature_size=32,
            proj_type='perceptron',
        ),
        decode_head=dict(type='UNETRDecoder', num_classes='$num_classes'),
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
