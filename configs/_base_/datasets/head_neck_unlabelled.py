"""OpenKBP head and neck CT, images alone, for pretraining; the list of head_neck.py.

The last tenth of the training subjects, by a checksum of their names, is held out for validation; test cases are not
touched.
"""

data_root = '{{$HEAD_NECK_ROOT:data/head_neck}}'  # the variable, or the default after the colon
patch_size = (32, 48, 32)  # voxels, fits into every volume; '$patch_size' elsewhere takes it from here
in_channels = 1
num_classes = 5  # levels 0 to 4
load_pipeline = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.Orientationd', keys=['image'], axcodes='RAS', labels=None),
    dict(type='monai.transforms.Spacingd', keys=['image'], pixdim=(4.0, 4.0, 2.5), mode='bilinear'),  # mm
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
crop = dict(type='ForegroundCrop', size='$patch_size', small='refuse')
dataset = dict(
    type='HeadNeckDataset',
    ann_file='dataset.json',
    data_root=data_root,
    split='training',
    read_labels=False,
    metainfo=dict(classes=('level_0', 'level_1', 'level_2', 'level_3', 'level_4'), mirror_pairs=(), reported=None),
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/head_neck'),
)
loader = dict(batch_size=4, num_workers=1, persistent_workers=True, collate_fn=dict(type='pseudo_collate'))
train_dataloader = dict(
    sampler=dict(type='SeededSampler', shuffle=True),
    dataset=dict(
        part=(0.0, 0.9),
        pipeline=[
            crop,
            dict(type='RandMirror', prob=0.5, axes=(0, 1, 2)),
            dict(type='PackVolume'),
        ],
        **dataset,
    ),
    **loader,
)
val_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False),
    drop_last=True,  # a batch of one could not be fused
    dataset=dict(part=(0.9, 1.0), pipeline=[crop, dict(type='PackVolume')], **dataset),
    **loader,
)
val_evaluator = dict(type='VolumeMetric', grid='working', scores=('dice',), show_table=False)
val_cfg = dict(type='ValLoop')
