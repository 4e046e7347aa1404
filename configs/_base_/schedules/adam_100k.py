"""Adam at 1e-3, halved five times: pretraining by Volume Fusion on a thousand volumes (100,000 steps).

Published for ten thousand volumes: 200,000 steps, halved every 40,000.
"""

train_cfg = dict(type='SeekingTrainLoop', max_iters=100000, val_interval=5000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-5))
param_scheduler = [dict(type='StepLR', step_size=20000, gamma=0.5, by_epoch=False)]
