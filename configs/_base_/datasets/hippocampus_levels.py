"""The training images of the hippocampus for Volume Fusion; see levels.py."""

_base_ = ['hippocampus_images.py', 'levels.py']

num_classes = 5  # levels 0 to 4
patch_size = (24, 40, 24)  # voxels, which every volume has
train_dataloader = dict(batch_size=4, dataset={{_base_.levels_train}})
val_dataloader = dict(
    dataset=dict(type='HippocampusDataset', store=dict(type='PreparedStore', root='prepared/hippocampus'))
)
