"""OpenKBP head and neck CT, five organs at risk, two of them sided; the folder brings its list.

The list's ``validation`` cases are the test set; nothing is selected on them. Intensities of -1000 HU are air or were
masked out by the publishers.
"""

data_root = '{{$HEAD_NECK_ROOT:data/head_neck}}'  # the variable, or the default after the colon
patch_size = (64, 48, 64)  # voxels; '$patch_size' elsewhere takes it from here
in_channels = 1
num_classes = 6
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
        pixdim=(4.0, 4.0, 2.5),  # mm, near the medians of the list
        mode=('bilinear', 'nearest'),
        allow_missing_keys=True,
    ),
    dict(
        type='monai.transforms.ScaleIntensityRanged',
        keys=['image'],
        a_min=-200.0,  # HU
        a_max=400.0,
        b_min=0.0,
        b_max=1.0,
        clip=True,
    ),
]
pipeline = [
    dict(type='ForegroundCrop', size='$patch_size', pos=3.0, neg=1.0, balance='class'),
    dict(type='RandMirror', prob=0.5, axes=(0,)),  # swaps the parotids' labels
    dict(type='monai.transforms.RandScaleIntensityd', keys=['image'], factors=0.1, prob=0.3),
    dict(type='monai.transforms.RandShiftIntensityd', keys=['image'], offsets=0.1, prob=0.3),
    dict(type='PackVolume'),
]
dataset = dict(
    type='HeadNeckDataset',
    ann_file='dataset.json',
    data_root='$data_root',
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/head_neck'),
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
