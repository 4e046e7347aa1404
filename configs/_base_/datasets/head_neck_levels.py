"""The training images of head and neck CT for Volume Fusion; see levels.py."""

_base_ = ['head_neck_images.py', 'levels.py']

num_classes = 5  # levels 0 to 4
train_dataloader = dict(dataset={{_base_.levels_train}})
val_dataloader = dict(
    dataset=dict(type='HeadNeckDataset', store=dict(type='PreparedStore', root='prepared/head_neck'))
)
