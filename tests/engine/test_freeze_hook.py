"""Frozen parts stay bit for bit what they were, statistics included; and a resumed run continues exactly."""

import re
from pathlib import Path

import pytest
import torch
from comparison import differences, everything
from helpers_engine import run_config
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from test_resume import Generators, StoppedAfter, interrupt, resumed

from medctx3d.apis.config_consistency import check_consistency
from medctx3d.engine import load_config
from medctx3d.engine.completion import close_schedules
from medctx3d.engine.hooks import FreezeHook
from medctx3d.engine.weights import NAMINGS
from medctx3d.registry import HOOKS, MODELS, PARAM_SCHEDULERS
from medctx3d.utils.config_check import ConfigError

PCT_NET = (
    'network.net.embeddings',
    *(f'network.net.pyramid_ct.{part}' for part in ('down3', 'down4', 'convtrans_e2', 'convtrans_e3', 'convtrans_e4')),
)
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
    assert differences(everything(tmp_path / 'whole'), everything(tmp_path / 'parts')) == []


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
    with pytest.raises(
        ValueError, match=r'no module network\.encoder; there it has network\.backbone, network\.decode_head'
    ):
        Runner.from_cfg(config).train()


WHOLE = {  # network: parts, and those of its encoder
    'pctnet': ('embeddings, network.net.pyramid_ct, network.net.pred_heads', PCT_NET),
    'segresnet': (
        'convInit, network.net.down_layers, network.net.up_layers, network.net.up_samples, network.net.conv_final',
        ('network.net.convInit', 'network.net.down_layers'),
    ),
    'fmunet': (
        'project, network.net.encoder, network.net.decoder, network.net.out_layers',
        ('network.net.project', 'network.net.encoder'),
    ),
}


@pytest.mark.parametrize('network', WHOLE)
def test_of_a_whole_network_the_parts_are_named_and_the_documented_ones_are_its_encoder(network):
    config = load_config(f'configs/{network}/{network}_hippocampus.py')
    config.custom_hooks = [dict(FREEZE)]
    parts, encoder = WHOLE[network]
    with pytest.raises(ConfigError, match=rf'no module network\.backbone; there it has network\.net\.{parts}:'):
        check_consistency(config, ['train'])
    config.custom_hooks = [dict(FREEZE, modules=encoder)]
    check_consistency(config, ['train'])
    naming = NAMINGS['suprem_segresnet' if network == 'segresnet' else 'medctx3d']
    net = MODELS.build(config.model).network.net
    prefix = 'network.net.'
    frozen = {f'{part}.{name}' for part in encoder for name in net.get_submodule(part[len(prefix) :]).state_dict()}
    assert frozen == {prefix + name for name in net.state_dict() if re.fullmatch(naming.encoder, name)}
    page = Path('docs/how_to/use_pretrained_weights.md').read_text(encoding='utf-8')
    assert ', '.join(f"`'{name}'`" for name in encoder) in page


def rates(name, total):
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


@pytest.mark.parametrize('total', [1500, 6000, 37500])
@pytest.mark.parametrize(
    ('name', 'frozen', 'rising'),
    [
        ('default', 0, []),
        ('frozen', 1, []),
        ('warmup', 0, [(0, 0.05)]),
        ('two_stage', 0.05, []),
        ('sawtooth', 0.05, [(0, 0.05), (0.05, 0.1)]),
    ],
)
def test_each_schedule_does_what_its_name_says_whatever_its_length(name, frozen, rising, total):
    found = rates(name, total)
    held_for = round(frozen * total)
    assert [held for _, held in found] == [True] * held_for + [False] * (total - held_for)
    rate = [value for value, _ in found]
    stages = [(round(begin * total), round(end * total)) for begin, end in rising]
    for begin, end in stages:
        assert rate[begin] == pytest.approx(3e-7)
        assert all(one < other for one, other in zip(rate[begin:end], rate[begin + 1 : end], strict=False))
        assert rate[end - 1] == pytest.approx(3e-4, rel=1e-2)
    begin = stages[-1][1] if stages else 0
    assert rate[begin] == pytest.approx(3e-4, rel=1e-2)
    assert all(one >= other for one, other in zip(rate[begin:], rate[begin + 1 :], strict=False))
    assert rate[-1] < 1e-6


@pytest.mark.parametrize('total', [1, 8, 20, 39, 41])
@pytest.mark.parametrize('name', ['warmup', 'sawtooth'])
def test_the_rate_reaches_its_peak_in_the_shortest_training(name, total):
    assert max(rate for rate, _ in rates(name, total)) == pytest.approx(3e-4, rel=0.1)
