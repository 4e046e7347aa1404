"""A training through mmengine's Runner: teacher, accumulation, checkpoint, resume, mixed precision."""

import numpy as np
import pytest
import torch
from helpers_engine import run_config, train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.completion import close_schedules, use_amp
from medctx3d.utils.config_check import ConfigError


class KilledAfter(Hook):
    """Stands for a kill; the last checkpoint is one step older."""

    priority = 'LOWEST'

    def __init__(self, iterations):
        self.iterations = iterations

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iterations:
            raise KeyboardInterrupt


def weights(runner):
    return {key: value.clone() for key, value in runner.model.state_dict().items()}


def test_teacher_moves_once_per_optimiser_step(nifti_dataset, tmp_path):
    runner = train(run_config(nifti_dataset, tmp_path / 'run'))
    assert runner.model.teacher.steps.item() == 1 + 6  # the copy and six steps
    accumulated = run_config(nifti_dataset, tmp_path / 'accumulated', **{'optim_wrapper.accumulative_counts': 3})
    runner = train(accumulated)
    assert runner.model.teacher.steps.item() == 1 + 2


def test_teacher_follows_the_schedule_of_the_hook(nifti_dataset, tmp_path):
    """Oracle: replay the average from the checkpoints of every step."""
    config = run_config(nifti_dataset, tmp_path / 'run', iterations=4)
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    train(config)
    states = [load_checkpoint_file(tmp_path / f'run/iter_{step}.pth')['state_dict'] for step in range(1, 5)]
    key = 'network.backbone.stages.0.conv1.conv.weight'
    taught = key.replace('network.', 'teacher.module.', 1)
    for step in range(2, 5):
        decay = 1 - (1 - 0.9) * (np.cos(np.pi * (step - 1) / 3) + 1) / 2
        expected = decay * states[step - 2][taught] + (1 - decay) * states[step - 1][key]
        assert torch.allclose(states[step - 1][taught], expected, atol=1e-6)


def test_resumed_run_ends_bit_identical_to_the_uninterrupted_one(nifti_dataset, tmp_path):
    whole = train(run_config(nifti_dataset, tmp_path / 'whole'))
    half = run_config(nifti_dataset, tmp_path / 'half')
    killed = Runner.from_cfg(half)
    killed.register_hook(KilledAfter(4))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    rest = run_config(nifti_dataset, tmp_path / 'half', iterations=6, resume=True, experiment_name='resumed_run')
    resumed = train(rest)
    assert resumed.iter == 6
    assert resumed.model.teacher.steps.item() == 7
    assert resumed.message_hub.get_scalar('train/lr').data[0].shape == (6,)
    for key, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[key]), key


def test_checkpoint_holds_tensors_and_plain_data_only(nifti_dataset, tmp_path):
    train(run_config(nifti_dataset, tmp_path / 'run', iterations=3))
    content = torch.load(tmp_path / 'run/iter_3.pth', weights_only=True)
    assert {'state_dict', 'optimizer', 'message_hub', 'meta', 'param_schedulers'} <= set(content)
    assert content['meta']['iter'] == 3


def test_load_from_a_baseline_primes_the_teacher_with_it(nifti_dataset, tmp_path):
    baseline = train(run_config(nifti_dataset, tmp_path / 'base', iterations=3, medcontext=False))
    config = run_config(nifti_dataset, tmp_path / 'joint', iterations=1)
    config.load_from = str(tmp_path / 'base/iter_3.pth')
    config.optim_wrapper.optimizer.lr = 0.0
    config.optim_wrapper.optimizer.weight_decay = 0.0
    joint = train(config)
    for key, value in baseline.model.network.state_dict().items():
        assert torch.allclose(joint.model.teacher.module.state_dict()[key], value, atol=1e-6)


def test_hook_without_teacher_is_refused_before_the_first_step(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path / 'run', medcontext=False)
    config.custom_hooks = [dict(type='EMATeacherHook')]
    with pytest.raises(TypeError, match=r"has no teacher: add teacher=dict\(type='EMATeacher'\)"):
        train(config)


def test_teacher_without_hook_is_refused_at_the_first_step(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path / 'run')
    config.custom_hooks = []
    with pytest.raises(RuntimeError, match='EMATeacherHook'):
        train(config)


def test_bfloat16_clipping_and_accumulation_train_on_the_cpu(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path / 'run')
    config.optim_wrapper.update(clip_grad=dict(max_norm=1.0), accumulative_counts=2)
    use_amp(config, 'bfloat16')
    assert config.optim_wrapper.type == 'CPUAmpOptimWrapper'
    seen = []

    runner = Runner.from_cfg(config)
    runner.model.network.decode_head.register_forward_hook(lambda _m, _i, out: seen.append(out.logits[0].dtype))
    runner.train()
    assert torch.bfloat16 in seen
    assert runner.model.network.decode_head.outs[0].conv.conv.weight.dtype == torch.float32
    assert runner.message_hub.get_scalar('train/grad_norm').data[0].size == 3
    assert runner.model.teacher.steps.item() == 1 + 3


def test_float16_without_a_gpu_is_refused(nifti_dataset, tmp_path):
    if torch.cuda.is_available():
        pytest.skip('this machine has a GPU')
    with pytest.raises(ValueError, match='--amp float16 needs a GPU'):
        use_amp(run_config(nifti_dataset, tmp_path), 'float16')


def test_validation_and_test_give_a_dice(nifti_dataset, tmp_path):
    untrained = Runner.from_cfg(run_config(nifti_dataset, tmp_path / 'untrained')).test()
    config = run_config(nifti_dataset, tmp_path / 'run', iterations=60)
    config.train_cfg.val_interval = 60
    config.optim_wrapper.optimizer.lr = 2e-2
    runner = train(config)
    metrics = runner.test()
    assert metrics['dice'] > untrained['dice'] + 0.1
    assert 'dice/near' in metrics
    progress = next(hook for hook in runner.hooks if type(hook).__name__ == 'ProgressHook')
    assert progress.dice.startswith('  val Dice 0.')


def test_open_schedules_end_with_training():
    config = Config(
        dict(
            train_cfg=dict(max_iters=70),
            param_scheduler=[
                dict(type='LinearLR', by_epoch=False, end=7),
                dict(type='CosineAnnealingLR', by_epoch=False),
            ],
        )
    )
    close_schedules(config)
    assert [scheduler['end'] for scheduler in config.param_scheduler] == [7, 70]


def test_shares_of_a_schedule_become_steps():
    warmup = dict(type='LinearLR', by_epoch=False, end_share=0.05)
    config = Config(
        dict(
            train_cfg=dict(max_iters=1500),
            param_scheduler=[warmup, dict(type='PolyLR', by_epoch=False, begin_share=0.05)],
        )
    )
    close_schedules(config)
    first, second = config.param_scheduler
    assert first == dict(type='LinearLR', by_epoch=False, end=75)
    assert second == dict(type='PolyLR', by_epoch=False, begin=75, end=1500)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(end_share=1.2), r'end_share of LinearLR must be a share of the training in 0\.\.1, got 1\.2'),
        (dict(end_share='half'), "got 'half'"),
        (dict(end_share=0.1, end=50), 'end_share of LinearLR is 0.1, and end is 50: keep one of them'),
        (dict(begin_share=0.1, by_epoch=True), r'is a share of train_cfg\.max_epochs, which is not set'),
    ],
)
def test_shares_that_mean_nothing_are_refused(changes, message):
    scheduler = dict(type='LinearLR', by_epoch=False) | changes
    with pytest.raises(ConfigError, match=message):
        close_schedules(Config(dict(train_cfg=dict(max_iters=1500), param_scheduler=[scheduler])))


def test_schedules_that_begin_after_a_shortened_training_are_dropped():
    warmup = dict(type='LinearLR', by_epoch=False, end=50)
    cosine = dict(type='CosineAnnealingLR', by_epoch=False, begin=50)
    config = Config(dict(train_cfg=dict(max_iters=20), param_scheduler=[warmup, cosine]))
    close_schedules(config)
    assert [scheduler['type'] for scheduler in config.param_scheduler] == ['LinearLR']
