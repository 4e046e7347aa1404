"""Small pretraining models for tests."""

import torch

from medctx3d.registry import MODELS
from medctx3d.structures import VolumeData, VolumeDataSample

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
        criterion=dict(type='VoCoLoss', form='joint', regular='absolute'),
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
    'lrc': dict(
        type='LRC',
        base=dict(
            type='MoCo',
            network=dict(
                EMBEDDING,
                decode_head=dict(type='UNetDecoder'),
                local_projector=dict(PROJECTOR, num_layers=2, norm='none'),
            ),
            views=VIEWS,
            teacher=TEACHER,
            queue_size=6,
        ),
        views=dict(type='RandomViews', size=(12, 12, 8)),
        contrast=dict(type='RegionContrastLoss', max_regions=4, anchors=4, negatives=16),
    ),
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


def samples(inputs):
    """Samples without labels, with regions in blocks of 4 voxels for the method that needs them."""
    made = []
    for volume in inputs:
        x, y, z = volume.shape[1:]
        grid = [torch.arange(side) // 4 for side in (x, y, z)]
        ids = 1 + grid[0][:, None, None] * 100 + grid[1][None, :, None] * 10 + grid[2][None, None, :]
        sample = VolumeDataSample()
        sample.gt_regions = VolumeData(data=ids[None].int())
        made.append(sample)
    return made
