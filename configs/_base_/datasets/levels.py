"""What every data set shares that is trained by Volume Fusion: its classes are levels of blending.

The last tenth of the training subjects, by a checksum of their names, is held out for validation.
"""

levels = dict(classes=('level_0', 'level_1', 'level_2', 'level_3', 'level_4'), mirror_pairs=(), reported=None)
crop = dict(type='ForegroundCrop', size='$patch_size', small='refuse')  # padding would be fused too
levels_train = dict(
    part=(0.0, 0.9),
    metainfo=levels,
    pipeline=[crop, dict(type='RandMirror', prob=0.5, axes=(0, 1, 2)), dict(type='PackVolume')],
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    drop_last=True,  # a batch of one could not be fused
    dataset=dict(
        ann_file='dataset.json',
        data_root='$data_root',
        part=(0.9, 1.0),
        read_labels=False,
        metainfo=levels,
        load_pipeline='$load_pipeline',
        pipeline=[crop, dict(type='PackVolume')],
    ),
)
val_evaluator = dict(type='VolumeMetric', grid='working', scores=('dice',), show_table=False)
val_cfg = dict(type='ValLoop')
custom_hooks = [dict(type='DataManifestHook'), dict(type='CollapseMonitorHook', interval=100), '$probe_hook']
