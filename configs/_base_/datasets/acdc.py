"""ACDC, both ventricles and the myocardium in cine MR; list: tools/dataset/make_datalist.py acdc.

Patients 1 to 100 in 70/10/20 %, both frames of a patient in one part. The last checkpoint is tested; the validation
part is for settling numbers. Never mirrored: a mirrored heart is none that a scanner would see.
"""

data_root = '{{$ACDC_ROOT:data/acdc}}'  # the variable, or the default after the colon
patch_size = (160, 160, 16)  # voxels; '$patch_size' elsewhere takes it from here. 16: most networks halve 4 times
spacing = (1.5234, 1.5234, 6.35)  # mm
in_channels = 1
num_classes = 4
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
    dict(type='monai.transforms.NormalizeIntensityd', keys=['image']),  # per case: MR has no unit
]
pipeline = [
    dict(type='ForegroundCrop', size='$patch_size', pos=1.0, neg=1.0, balance='class'),
    dict(
        type='monai.transforms.RandRotated',  # in the plane of the slices
        keys=['image', 'label'],
        range_z=3.1416,
        prob=0.2,
        mode=('bilinear', 'nearest'),
        padding_mode=('border', 'zeros'),
    ),
    dict(type='monai.transforms.RandScaleIntensityd', keys=['image'], factors=0.1, prob=0.3),
    dict(type='monai.transforms.RandShiftIntensityd', keys=['image'], offsets=0.1, prob=0.3),
    dict(type='monai.transforms.RandGaussianNoised', keys=['image'], std=0.1, prob=0.1),
    dict(type='PackVolume'),
]
dataset = dict(
    type='ACDCDataset',
    ann_file='dataset.json',
    data_root='$data_root',
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/acdc'),
)
whole = dict(pipeline=[dict(type='PackVolume')], test_mode=True, **dataset)
whole_loader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeededSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(split='training', pipeline=pipeline, **dataset),
)
val_dataloader = dict(dataset=dict(split='validation', **whole), **whole_loader)
test_dataloader = dict(dataset=dict(split='test', **whole), **whole_loader)
val_evaluator = dict(type='VolumeMetric', grid='working', show_table=False)
test_evaluator = dict(type='VolumeMetric', grid='source')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
