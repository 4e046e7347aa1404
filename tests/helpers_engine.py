"""Runs small enough for a test."""

from __future__ import annotations

import mmengine.config.config
from conftest import tiny_segmentor_config
from mmengine.config import Config
from mmengine.runner import Runner

# A Runner lays out its config six times, which takes longer than the training itself.
mmengine.config.config.FormatCode = lambda text, **_: (text, False)


def run_config(root, work_dir, *, iterations: int = 6, medcontext: bool = True, **changes) -> Config:
    """A MedContext training on the NIfTI files under ``root``; 4 crops of 16^3 per step."""
    load = [dict(type='LoadVolume'), dict(type='monai.transforms.NormalizeIntensityd', keys=['image'])]
    dataset = dict(
        type='VolumeDataset',
        ann_file='dataset.json',
        data_root=str(root),
        load_pipeline=load,
        metainfo=dict(classes=('background', 'near', 'far')),
    )
    crops = [dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='RandMirror'), dict(type='PackVolume')]
    whole = [dict(type='PackVolume')]
    loader = dict(num_workers=0, collate_fn=dict(type='pseudo_collate'))
    config = dict(
        default_scope='medctx3d',
        model=tiny_segmentor_config(medcontext=medcontext),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            sampler=dict(type='SeededSampler', shuffle=True),
            dataset=dict(split='training', pipeline=crops, **dataset),
            **loader,
        ),
        val_dataloader=dict(
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(split='validation', pipeline=whole, test_mode=True, **dataset),
            **loader,
        ),
        test_dataloader=dict(
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(split='test', pipeline=whole, test_mode=True, **dataset),
            **loader,
        ),
        val_evaluator=dict(type='VolumeMetric', grid='working', scores=('dice',), show_table=False),
        test_evaluator=dict(type='VolumeMetric', grid='source', scores=('dice',), show_table=False),
        train_cfg=dict(type='SeekingTrainLoop', max_iters=iterations, val_interval=1000),
        val_cfg=dict(type='ValLoop'),
        test_cfg=dict(type='TestLoop'),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-2)),
        param_scheduler=[dict(type='PolyLR', power=0.9, by_epoch=False, begin=0, end=iterations)],
        custom_hooks=[dict(type='EMATeacherHook', decay=0.9)] if medcontext else [],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=2),
            checkpoint=dict(type='SafeCheckpointHook', by_epoch=False, interval=3, max_keep_ckpts=1),
            iteration_seed=dict(type='IterationSeedHook'),
            nonfinite=dict(type='NonFiniteHook'),
            portable=dict(type='PortableCheckpointHook'),
            progress=dict(type='ProgressHook'),
        ),
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=0, diff_rank_seed=True),
        log_level='WARNING',
        experiment_name=f'run_{abs(hash((str(work_dir), iterations))):x}',
    )
    config = Config(config)
    config.merge_from_dict(changes)
    return config


def train(config: Config) -> Runner:
    """Run the training and give the Runner back."""
    runner = Runner.from_cfg(config)
    runner.train()
    return runner
