"""MSD Task01 brain tumour, four MR channels; list: tools/dataset/make_datalist.py brain-tumour.

387 training, 73 validation and 24 test cases, drawn by seed from the 484 labelled ones. The last checkpoint is tested;
the validation part is for settling numbers.
"""

data_root = '{{$BRAIN_TUMOUR_ROOT:data/brain_tumour}}'  # the variable, or the default after the colon
patch_size = (128, 128, 128)  # voxels; '$patch_size' elsewhere takes it from here
in_channels = 4
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
        pixdim=(1.0, 1.0, 1.0),
        mode=('bilinear', 'nearest'),
        allow_missing_keys=True,
    ),
    dict(
        type='monai.transforms.CropForegroundd', keys=['image', 'label'], source_key='image', allow_missing_keys=True
    ),
    dict(
        type='monai.transforms.NormalizeIntensityd', keys=['image'], nonzero=True, channel_wise=True
    ),  # outside the brain stays 0
]
pipeline = [
    dict(type='ForegroundCrop', size='$patch_size', pos=1.0, neg=1.0, balance='class', pad_value=0.0),
    dict(type='RandMirror', prob=0.5, axes=(0, 1, 2)),
    dict(type='monai.transforms.RandScaleIntensityd', keys=['image'], factors=0.1, prob=1.0),
    dict(type='monai.transforms.RandShiftIntensityd', keys=['image'], offsets=0.1, prob=1.0),
    dict(type='PackVolume'),
]
dataset = dict(
    type='BrainTumourDataset',
    ann_file='datalist.json',
    data_root='$data_root',
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/brain_tumour'),
)
whole = dict(pipeline=[dict(type='PackVolume')], test_mode=True, **dataset)
whole_loader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
)
train_dataloader = dict(
    batch_size=2,
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
