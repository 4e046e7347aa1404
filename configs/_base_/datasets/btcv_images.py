"""The training images of BTCV without their labels, for pretraining, and a probe of the features.

Other CT: dict(type='UnlabelledDataset', images='**/*.nii.gz', data_root=...) in place of the data set.
"""

_base_ = ['btcv.py']

train_dataloader = dict(
    dataset=dict(
        read_labels=False,
        pipeline=[dict(type='ForegroundCrop', size='$patch_size', small='refuse'), dict(type='PackVolume')],
    )
)
test_dataloader = None
test_evaluator = None
test_cfg = None
probe_hook = dict(  # reads labels of 16 training volumes for the log; nothing is learnt from them
    type='ProbeHook',
    interval=5000,
    dataset=dict(
        type='BTCVDataset',
        ann_file='dataset.json',
        data_root='$data_root',
        split='training',
        load_pipeline='$load_pipeline',
        store=dict(type='PreparedStore', root='prepared/btcv'),
        pipeline=[dict(type='ForegroundCrop', size='$patch_size'), dict(type='PackVolume')],
    ),
)
