"""Generated abdominal CT at 5 mm, six organs; made by tools/dataset/make_phantom.py in half a minute."""

data_root = '{{$PHANTOM_ROOT:data/phantom}}'  # the variable, or the default after the colon
patch_size = (48, 48, 32)  # voxels; '$patch_size' elsewhere takes it from here
in_channels = 1
num_classes = 7
classes = ('background', 'spleen', 'right_kidney', 'left_kidney', 'liver', 'stomach', 'aorta')
# At 5 mm the other seven organs are a few voxels each; they count as background.
label_map = {1: 1, 2: 2, 3: 3, 4: 0, 5: 0, 6: 4, 7: 5, 8: 6, 9: 0, 10: 0, 11: 0, 12: 0, 13: 0}
metainfo = dict(classes=classes, label_map=label_map, mirror_pairs=(('right_kidney', 'left_kidney'),))
load_pipeline = [  # no resampling: all volumes are generated at about 5 mm, so figures are those of the network alone
    dict(type='LoadVolume'),
    dict(
        type='monai.transforms.Orientationd',
        keys=['image', 'label'],
        axcodes='RAS',
        labels=None,
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
]
pipeline = [
    dict(type='ForegroundCrop', size='$patch_size', pos=3.0, neg=1.0, balance='class'),
    dict(type='monai.transforms.RandScaleIntensityd', keys=['image'], factors=0.1, prob=0.3),
    dict(type='monai.transforms.RandShiftIntensityd', keys=['image'], offsets=0.1, prob=0.3),
    dict(type='PackVolume'),
]
dataset = dict(
    type='VolumeDataset',
    ann_file='dataset.json',
    data_root='$data_root',
    metainfo=metainfo,
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/phantom'),
)
whole = dict(pipeline=[dict(type='PackVolume')], test_mode=True, **dataset)
loader = dict(num_workers=0, collate_fn=dict(type='pseudo_collate'))
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(split='training', pipeline=pipeline, **dataset),
    **loader,
)
val_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='validation', **whole),
    **loader,
)
test_dataloader = dict(
    batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(split='test', **whole), **loader
)
val_evaluator = dict(type='VolumeMetric', grid='working', show_table=False)
test_evaluator = dict(type='VolumeMetric', grid='source')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
