"""Small pretraining models for tests."""

from medctx3d.registry import MODELS

BACKBONE = dict(type='UNetEncoder', in_channels=1, channels=(4, 8, 8), strides=(1, 2, 2))
PROJECTOR = dict(type='Projector', hidden_channels=16, out_channels=8, norm='layer')
EMBEDDING = dict(type='EmbeddingNet', backbone=BACKBONE, projector=PROJECTOR)
RESTORING = dict(type='EncoderDecoder', backbone=BACKBONE, decode_head=dict(type='UNetDecoder', num_classes=1))
CROPS = dict(type='PositionCrops', grid=(2, 2, 1), base_size=(8, 8, 8))
VIEWS = dict(type='RandomViews', size=(8, 8, 8))
TEACHER = dict(type='EMATeacher')

METHODS = {
    'voco_paper': dict(
        type='VoCo',
        network=EMBEDDING,
        crops=CROPS,
        criterion=dict(type='VoCoLoss', form='joint', regular_power=1),
    ),
    'voco_v1': dict(
        type='VoCo',
        network=dict(EMBEDDING, levels=(0, 1, 2)),
        crops=CROPS,
        criterion=dict(type='VoCoLoss', prediction='symmetric', form='square'),
        teacher=TEACHER,
    ),
    'voco_v2': dict(
        type='VoCo',
        network=EMBEDDING,
        crops=CROPS,
        criterion=dict(type='VoCoLoss', form='log', inter_volume=True),
        teacher=TEACHER,
        teacher_of='projector',
    ),
    'moco': dict(type='MoCo', network=EMBEDDING, views=VIEWS, teacher=TEACHER, queue_size=6),
    'simclr': dict(type='SimCLR', network=EMBEDDING, views=VIEWS, jitter=dict(type='IntensityJitter')),
    'masked_autoencoder': dict(
        type='MaskedAutoencoder', network=RESTORING, masking=dict(type='RandomMask', ratio=0.5), patch_size=(4, 4, 4)
    ),
    'image_restoration': dict(
        type='ImageRestoration',
        network=RESTORING,
        corruption=[
            dict(type='monai.transforms.RandHistogramShift', prob=1.0),
            dict(type='monai.transforms.RandCoarseDropout', holes=2, spatial_size=4, prob=1.0),
        ],
    ),
}


def built(name, **changes):
    """A method with its teacher primed, in training mode."""
    model = MODELS.build(METHODS[name] | changes)
    model.prime_teacher()
    return model.train()
