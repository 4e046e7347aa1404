"""Frozen parts stay bit for bit what they were, statistics included; and a resumed run continues exactly."""

import pytest
import torch
from helpers_engine import run_config
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from test_resume import Generators, StoppedAfter, assert_equal, everything, interrupt, resumed

from medctx3d.engine.hooks import FreezeHook
from medctx3d.engine.launch import close_schedules
from medctx3d.registry import HOOKS, PARAM_SCHEDULERS

FREEZE = dict(type='FreezeHook', modules=('network.backbone',))


class Snapshots(Hook):
    """The backbone before each iteration, and after the last."""

    priority = 'LOWEST'

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.note(runner)

    def after_train(self, runner):
        self.note(runner)

    def note(self, runner):
        backbone = runner.model.network.backbone
        self.seen.append({name: value.clone() for name, value in backbone.state_dict().items()})


def run(root, work_dir, **freeze):
    config = run_config(root, work_dir, iterations=6, medcontext=False)
    network = config.model.network
    network.backbone.norm = network.decode_head.norm = 'batch'  # statistics that training would move
    config.custom_hooks = [*config.get('custom_hooks', []), dict(FREEZE, **freeze)]
    runner = Runner.from_cfg(config)
    snapshots = Snapshots()
    runner.register_hook(snapshots)
    before = {name: value.clone() for name, value in runner.model.network.decode_head.state_dict().items()}
    runner.train()
    return runner, snapshots.seen, before


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_frozen_encoder_does_not_move_while_the_decoder_learns(nifti_dataset, tmp_path):
    runner, seen, decoder = run(nifti_dataset, tmp_path / 'run')
    assert len(seen) == 7
    assert any('running_mean' in name for name in seen[0])
    assert all(same(seen[0], later) for later in seen)
    after = runner.model.network.decode_head.state_dict()
    assert not any(torch.equal(value, after[name]) for name, value in decoder.items())


def test_a_part_frozen_for_a_while_learns_from_that_iteration_on(nifti_dataset, tmp_path):
    _, seen, _ = run(nifti_dataset, tmp_path / 'run', until=3)
    assert [same(seen[0], later) for later in seen] == [True, True, True, True, False, False, False]
    moved = {name for name, value in seen[-1].items() if not torch.equal(value, seen[0][name])}
    assert moved == set(seen[0])


@pytest.mark.parametrize('stop', [2, 4], ids=['while frozen', 'after'])
def test_resume_is_exact_across_the_thaw(stop, nifti_dataset, tmp_path):
    def config(name):
        found = run_config(nifti_dataset, tmp_path / name)
        found.custom_hooks = [*found.custom_hooks, dict(FREEZE, until=3)]
        return found

    whole = Runner.from_cfg(config('whole'))
    whole.register_hook(Generators())  # it draws, and so does that of the resumed run
    whole.train()
    assert interrupt(config('parts'), Generators(), StoppedAfter(stop)).done == stop
    resumed(config('parts'), f'thaw_{stop}')
    assert_equal(everything(tmp_path / 'whole'), everything(tmp_path / 'parts'))


@pytest.mark.parametrize(
    ('until', 'frozen'), [(None, [True] * 10), (4, [True] * 4 + [False] * 6), (0.3, [True] * 3 + [False] * 7)]
)
def test_the_state_is_a_function_of_the_iteration_alone(until, frozen):
    assert [FreezeHook(until=until).frozen_at(step, 10) for step in range(10)] == frozen


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(modules=()), 'must be names'),
        (dict(modules='network'), 'must be names'),
        (dict(until=0), 'until must be an iteration of at least 1'),
        (dict(until=1.5), r'a share in \(0, 1\)'),
    ],
)
def test_impossible_freezes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FreezeHook(**arguments)


def test_a_module_that_is_not_there_is_named_before_training(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path / 'run', medcontext=False)
    config.custom_hooks = [dict(FREEZE, modules=('network.encoder',))]
    with pytest.raises(ValueError, match=r'no module network\.encoder; it has .*network\.backbone'):
        Runner.from_cfg(config).train()


def rates(name, total=37500):
    """Learning rate and whether the encoder is frozen, in every iteration of a schedule."""
    config = Config.fromfile(f'configs/_base_/schedules/finetune_{name}.py')
    config.train_cfg.max_iters = total
    close_schedules(config)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=config.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(one), default_args=dict(optimizer=optimizer)) for one in config.param_scheduler
    ]
    hooks = [HOOKS.build(dict(one)) for one in config.get('custom_hooks', [])]
    found = []
    for step in range(total):
        found.append((optimizer.param_groups[0]['lr'], any(hook.frozen_at(step, total) for hook in hooks)))
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


@pytest.mark.parametrize(
    ('name', 'frozen', 'rising'),
    [
        ('default', 0, []),
        ('frozen', 37500, []),
        ('warmup', 0, [(0, 1875)]),
        ('two_stage', 1875, []),
        ('sawtooth', 1875, [(0, 1875), (1875, 3750)]),
    ],
)
def test_each_schedule_does_what_its_name_says(name, frozen, rising):
    found = rates(name)
    assert sum(held for _, held in found) == frozen
    assert all(held for _, held in found[:frozen])
    rate = [value for value, _ in found]
    for begin, end in rising:
        assert rate[begin] == pytest.approx(3e-7)
        assert all(one < other for one, other in zip(rate[begin:end], rate[begin + 1 : end], strict=False))
        assert rate[end - 1] == pytest.approx(3e-4, rel=1e-2)
    begin = rising[-1][1] if rising else 0
    assert rate[begin] == pytest.approx(3e-4, rel=1e-2)
    assert all(one >= other for one, other in zip(rate[begin:], rate[begin + 1 :], strict=False))
    assert rate[-1] < 1e-6
