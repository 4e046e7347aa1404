"""BTCV/Synapse, images alone, for pretraining; the list of btcv.py. Other CT: another data_root and list.

The last tenth of the training subjects, by a checksum of their names, is held out for validation; test cases are not
touched.
"""

data_root = '{{$BTCV_ROOT:data/btcv}}'  # the variable, or the default after the colon
patch_size = (96, 96, 96)  # voxels; '$patch_size' elsewhere takes it from here
spacing = (1.5, 1.5, 2.0)  # mm
in_channels = 1
num_classes = 5  # levels 0 to 4
load_pipeline = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.Orientationd', keys=['image'], axcodes='RAS', labels=None),
    dict(type='monai.transforms.Spacingd', keys=['image'], pixdim='$spacing', mode='bilinear'),
    dict(
        type='monai.transforms.ScaleIntensityRanged',
        keys=['image'],
        a_min=-175.0,  # HU
        a_max=250.0,
        b_min=0.0,
        b_max=1.0,
        clip=True,
    ),
    dict(type='monai.transforms.CropForegroundd', keys=['image'], source_key='image'),
]
crop = dict(type='ForegroundCrop', size='$patch_size', small='refuse')
dataset = dict(
    type='BTCVDataset',
    ann_file='dataset.json',
    data_root=data_root,
    split='training',
    read_labels=False,
    metainfo=dict(classes=('level_0', 'level_1', 'level_2', 'level_3', 'level_4'), mirror_pairs=(), reported=None),
    load_pipeline=load_pipeline,
    store=dict(type='PreparedStore', root='prepared/btcv'),
)
loader = dict(batch_size=4, num_workers=4, persistent_workers=True, collate_fn=dict(type='pseudo_collate'))
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
