"""The training images of head and neck without their labels, for pretraining, and a probe of the features."""

_base_ = ['head_neck.py']

patch_size = (32, 48, 32)  # voxels, which every volume has
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        read_labels=False,
        pipeline=[dict(type='ForegroundCrop', size='$patch_size'), dict(type='PackVolume')],
    ),
)
test_dataloader = None
test_evaluator = None
test_cfg = None
probe_hook = dict(  # reads labels of 16 training volumes for the log; nothing is learnt from them
    type='ProbeHook',
    interval=500,
    dataset=dict(
        type='HeadNeckDataset',
        ann_file='dataset.json',
        data_root='$data_root',
        split='training',
        load_pipeline='$load_pipeline',
        store=dict(type='PreparedStore', root='prepared/head_neck'),
        pipeline=[dict(type='ForegroundCrop', size='$patch_size'), dict(type='PackVolume')],
    ),
)
