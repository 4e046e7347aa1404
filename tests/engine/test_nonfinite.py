"""A NaN is caught before it reaches the weights, named, and can be seen again."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers_engine import run_config, train
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.hooks import NonFiniteHook
from medctx3d.engine.nonfinite import Finding, NonFiniteError, find_first
from medctx3d.structures import VolumeDataSample

ROOT = Path(__file__).parents[2]


class Spoils(Hook):
    """Change the batch or the model before chosen iterations."""

    priority = 'VERY_HIGH'

    def __init__(self, change, iterations=(2,)):
        self.change = change
        self.iterations = iterations

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter in self.iterations:
            self.change(runner.model, data_batch)


def nan_image(model, batch):
    batch['inputs'][1][0, 3, 4, 5] = float('nan')


def huge_weight(model, batch):
    with torch.no_grad():
        model.network.backbone.stages[0].conv1.conv.weight.fill_(3e38)


def spoiled(config, change, iterations=(2,)):
    runner = Runner.from_cfg(config)
    runner.register_hook(Spoils(change, iterations))
    return runner


def test_a_nan_in_an_image_is_named_with_case_and_draw(nifti_dataset, tmp_path):
    runner = spoiled(run_config(nifti_dataset, tmp_path), nan_image)
    with pytest.raises(
        NonFiniteError, match=r'iteration 3: a gradient is not finite; cases .* holds such values'
    ) as stop:
        runner.train()
    record = load_checkpoint_file(tmp_path / 'nonfinite/iter_3_rank_0.pth')
    assert f'{record["cases"][1]} (draw {record["draws"][1]})' in str(stop.value)
    assert f'the image of case {record["cases"][1]} holds' in str(stop.value)
    assert all(torch.isfinite(value).all() for value in runner.model.state_dict().values())


def test_the_first_module_that_overflows_is_named_and_seen_again_by_the_tool(nifti_dataset, tmp_path, capsys):
    config = run_config(nifti_dataset, tmp_path)
    with pytest.raises(
        NonFiniteError, match=r'first in the answer of module network\.backbone\.stages\.0\.conv1\.conv'
    ):
        spoiled(config, huge_weight).train()
    config.dump(tmp_path / 'config.py')
    capsys.readouterr()
    argv, sys.argv = sys.argv, ['replay', str(tmp_path / 'config.py'), str(tmp_path / 'nonfinite/iter_3_rank_0.pth')]
    try:
        runpy.run_path(str(ROOT / 'tools/replay.py'), run_name='__main__')
    finally:
        sys.argv = argv
    assert 'iteration 3: first in the answer of module network.backbone.stages.0.conv1.conv' in capsys.readouterr().out


def test_a_skipped_step_leaves_the_weights_and_the_training_goes_on(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path)
    config.default_hooks.nonfinite.policy = 'skip'
    runner = spoiled(config, nan_image)
    before = {}

    class Compare(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter in (2, 3):
                before[runner.iter] = [p.detach().clone() for p in runner.model.network.parameters()]

    runner.register_hook(Compare())
    runner.train()
    assert runner.iter == 6
    assert all(torch.equal(a, b) for a, b in zip(before[2], before[3], strict=True))
    assert all(torch.isfinite(value).all() for value in runner.model.state_dict().values())


def test_steps_that_are_skipped_for_ever_end_the_training(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path)
    config.default_hooks.nonfinite.update(policy='skip', most_skips=2)
    with pytest.raises(NonFiniteError, match='iteration 3'):
        spoiled(config, nan_image, range(6)).train()


def test_a_bad_batch_between_two_steps_of_accumulation_is_caught(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path, **{'optim_wrapper.accumulative_counts': 3})
    with pytest.raises(NonFiniteError, match=r'iteration 2: the loss term .* is nan'):
        spoiled(config, nan_image, (1,)).train()


def test_watching_changes_nothing(nifti_dataset, tmp_path):
    watched = train(run_config(nifti_dataset, tmp_path / 'watched'))
    config = run_config(nifti_dataset, tmp_path / 'plain')
    config.default_hooks.pop('nonfinite')
    plain = train(config)
    for key, value in plain.model.state_dict().items():
        assert torch.equal(value, watched.model.state_dict()[key]), key


class Readings(TorchDispatchMode):
    """Counts how often a value is read back: each waits for the device."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('names', ['a', 'abcdefgh'])
def test_the_device_is_asked_once_for_all_gradients_and_once_for_all_terms(names):
    weights = [nn.Parameter(torch.ones(3)) for _ in names]
    for weight in weights:
        weight.grad = torch.ones(3)
    runner = SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=torch.optim.SGD(weights, lr=0.1)))
    hook = NonFiniteHook()
    hook.before_train(runner)
    with Readings() as gradients:
        hook._judge_gradients(runner.optim_wrapper.optimizer, (), {})
    with Readings() as terms:
        hook.after_train_iter(runner, 0, outputs={name: torch.ones(()) for name in names})
    assert (gradients.count, terms.count) == (1, 1)


class Fragile(nn.Module):
    """Forward the identity, backward NaN."""

    def forward(self, x):
        return x + torch.sqrt(x * 0)


class Tiny(nn.Module):
    def __init__(self, middle):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 4), middle, nn.Linear(4, 1)

    def data_preprocessor(self, data, training):
        return dict(inputs=torch.stack(data['inputs']))

    def forward(self, inputs, mode):
        return dict(loss=self.last(self.middle(self.first(inputs))).mean())


def test_a_gradient_that_breaks_where_the_answers_are_finite_is_found():
    samples = [VolumeDataSample(metainfo=dict(case='a'))]
    assert find_first(Tiny(Fragile()), [torch.rand(4)], samples) == Finding('backward', 'first', '')
    model = Tiny(nn.Identity())
    assert find_first(model, [torch.rand(4)], samples).place == ''
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize('options', [dict(policy='ignore'), dict(most_skips=0)])
def test_impossible_arguments_are_refused(options):
    with pytest.raises(ValueError, match='NonFiniteHook: '):
        NonFiniteHook(**options)
