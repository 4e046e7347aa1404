"""The training images of head and neck without their labels, for pretraining."""

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
