"""What every run shares: scope, hooks, logging, randomness."""

default_scope = 'medctx3d'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    iteration_seed=dict(type='IterationSeedHook'),
    nonfinite=dict(type='NonFiniteHook', policy='stop'),
    portable=dict(type='PortableCheckpointHook'),
    progress=dict(type='ProgressHook'),
    watchdog=dict(type='WatchdogHook', limit=900),  # s
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=7200),  # s: ranks wait while rank 0 prepares the volumes
)
log_processor = dict(by_epoch=False, window_size=50)
visualizer = dict(type='VolumeVisualizer', vis_backends=[dict(type='LocalVisBackend')])
randomness = dict(seed=0, diff_rank_seed=True)  # ranks must not draw the same masks
log_level = 'INFO'
load_from = None
resume = False
