"""The training images of BTCV for Volume Fusion; see levels.py."""

_base_ = ['btcv_images.py', 'levels.py']

num_classes = 5  # levels 0 to 4
train_dataloader = dict(dataset={{_base_.levels_train}})
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    dataset=dict(type='BTCVDataset', store=dict(type='PreparedStore', root='prepared/btcv')),
)
