"""UNETR (arXiv 2103.10504) as published with MedContext, 14 outputs."""

model = dict(
    type='VolumeSegmentor',
    network=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='UNETREncoder', in_channels=1, img_size=(96, 96, 96), feature_size=32, proj_type='perceptron'
        ),
        decode_head=dict(type='UNETRDecoder', num_classes=14),
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
        type='monai.inferers.SlidingWindowInferer',
        roi_size=(96, 96, 96),
        sw_batch_size=4,
        overlap=0.5,
        mode='gaussian',
    ),
)
