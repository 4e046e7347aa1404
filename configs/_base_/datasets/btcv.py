"""BTCV/Synapse, 13 organs, the 18/12 split by case id; list: tools/dataset/make_datalist.py btcv.

Generated volumes of the same layout: tools/dataset/make_phantom.py data/btcv --preset btcv
"""

data_root = '{{$BTCV_ROOT:data/btcv}}'  # the variable, or the default after the colon
patch_size = (96, 96, 96)  # voxels; '$patch_size' elsewhere takes it from here
spacing = (1.5, 1.5, 2.0)  # mm
in_channels = 1
num_classes = 14
load_pipeline = [
    dict(type='LoadVolume'),
    dict(
        type='monai.transforms.Orientationd',
        keys=['image', 'label'],
        axcodes='RAS',
        labels=None,
        allow_missing_keys=True,
    ),
    dict(
        type='monai.transforms.Spacingd',
        keys=['image', 'label'],
        pixdim='$spacing',
        mode=('bilinear', 'nearest'),
        allow_missing_keys=True,
    ),
    dict(
        type='monai.transforms.ScaleIntensityRanged',
        keys=['image'],
        a_min=-175.0,  # HU
        a_max=250.0,
        b_min=0.0,
        b_max=1.0,
        clip=True,
    ),
    dict(
        type='monai.transforms.CropForegroundd', keys=['image', 'label'], source_key='image', allow_missing_keys=True
    ),
]
pipeline = [
    dict(type='ForegroundCrop', size='$patch_size', pos=1.0, neg=1.0, balance='voxel'),
    dict(type='RandMirror', prob=0.2, axes=(0, 1, 2)),
    dict(type='monai.transforms.RandRotate90d', keys=['image', 'label'], prob=0.2, max_k=3, spatial_axes=(0, 1)),
    dict(type='monai.transforms.RandScaleIntensityd', keys=['image'], factors=0.1, prob=0.1),
    dict(type='monai.transforms.RandShiftIntensityd', keys=['image'], offsets=0.1, prob=0.1),
    dict(type='PackVolume'),
]
dataset = dict(
    type='BTCVDataset',
    ann_file='dataset.json',
    data_root='$data_root',
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/btcv'),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(split='training', pipeline=pipeline, **dataset),
)
# No validation: the split has no third part, and choosing a checkpoint on the test cases would void the result.
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(split='test', pipeline=[dict(type='PackVolume')], test_mode=True, **dataset),
)
test_evaluator = dict(type='VolumeMetric', grid='source')
test_cfg = dict(type='TestLoop')
