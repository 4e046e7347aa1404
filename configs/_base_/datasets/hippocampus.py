"""MSD Task04 hippocampus, MR, two labels; list: tools/dataset/make_datalist.py hippocampus.

The list's ``validation`` cases are the test set; nothing is selected on them.
"""

data_root = '{{$HIPPOCAMPUS_ROOT:data/hippocampus}}'  # the variable, or the default after the colon
patch_size = (32, 48, 32)  # voxels; '$patch_size' elsewhere takes it from here
in_channels = 1
num_classes = 3
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
        pixdim=(1.0, 1.0, 1.0),
        mode=('bilinear', 'nearest'),
        allow_missing_keys=True,
    ),
    dict(
        type='monai.transforms.NormalizeIntensityd', keys=['image']
    ),  # per case: scales differ by orders of magnitude
]
pipeline = [
    dict(type='ForegroundCrop', size='$patch_size', pos=1.0, neg=1.0, balance='class'),
    dict(type='RandMirror', prob=0.5, axes=(0, 1, 2)),
    dict(type='monai.transforms.RandScaleIntensityd', keys=['image'], factors=0.1, prob=0.3),
    dict(type='monai.transforms.RandShiftIntensityd', keys=['image'], offsets=0.1, prob=0.3),
    dict(type='monai.transforms.RandGaussianNoised', keys=['image'], std=0.1, prob=0.3),
    dict(type='PackVolume'),
]
dataset = dict(
    type='HippocampusDataset',
    ann_file='dataset.json',
    data_root='$data_root',
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/hippocampus'),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(split='training', pipeline=pipeline, **dataset),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(split='validation', pipeline=[dict(type='PackVolume')], test_mode=True, **dataset),
)
test_evaluator = dict(type='VolumeMetric', grid='source')
test_cfg = dict(type='TestLoop')
