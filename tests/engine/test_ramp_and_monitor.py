"""The ramp's clock, and the watch over objectives."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from conftest import batch, tiny_segmentor_config
from helpers_engine import run_config, train

from medctx3d.engine.hooks import EMATeacherHook, ObjectiveMonitorHook, RampUpHook
from medctx3d.engine.hooks.objective_monitor_hook import gradient_norms
from medctx3d.registry import MODELS


def test_ramp_goes_from_nothing_to_one_within_its_share() -> None:
    hook = RampUpHook(share=0.1)
    factors = [hook.factor_at(step, 1000) for step in range(1000)]
    assert factors[0] == pytest.approx(math.exp(-5))
    assert factors[50] == pytest.approx(math.exp(-5 * 0.25))
    assert factors == sorted(factors)
    assert set(factors[100:]) == {1.0}
    assert RampUpHook(share=0.1, shape='linear').factor_at(25, 1000) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: RampUpHook(share=0), 'share must lie in'),
        (lambda: RampUpHook(shape='cosine'), 'shape must be'),
        (lambda: ObjectiveMonitorHook(0), 'interval and patience must be 1 or more'),
        (lambda: EMATeacherHook(interval=0), 'interval must be 1 or more'),
        (lambda: EMATeacherHook(period=1), 'period 2 or more'),
    ],
)
def test_impossible_clocks_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_a_ramp_of_a_head_that_is_not_there_is_refused_before_training(nifti_dataset, tmp_path) -> None:
    config = run_config(nifti_dataset, tmp_path / 'run')
    config.custom_hooks.append(dict(type='RampUpHook', head='medcontex'))
    with pytest.raises(ValueError, match=r"no auxiliary head 'medcontex', it has \['medcontext'\]"):
        train(config)


def test_schedule_with_a_period_starts_anew() -> None:
    hook = EMATeacherHook(0.0, 0.9, schedule='linear', period=10)
    decays = [hook.decay_at(step, 1000) for step in range(1, 31)]
    assert decays[:10] == pytest.approx([0.1 * step for step in range(10)])
    assert decays[10:20] == decays[:10] == decays[20:]


def test_norms_are_those_of_each_objective_alone() -> None:
    torch.manual_seed(0)
    model = MODELS.build(tiny_segmentor_config())
    model.prime_teacher()
    with torch.no_grad():
        for weight in model.teacher.parameters():
            weight.mul_(1.2)
    terms = model(*batch(), mode='loss')
    norms = gradient_norms(model, terms)
    assert sorted(norms) == ['medcontext.consistency', 'medcontext.dice_ce', 'supervised']
    for name, key in (('supervised', 'loss_dice_ce'), ('medcontext.consistency', 'medcontext.loss_consistency')):
        model.zero_grad()
        terms[key].backward(retain_graph=True)
        grads = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
        assert norms[name] == pytest.approx(torch.cat(grads).norm().item(), rel=1e-4)


def monitored(root, work_dir: Path, **consistency) -> tuple[dict[str, torch.Tensor], list[dict], str]:
    """Weights, log records and console log of six iterations, watched at every second."""
    config = run_config(root, work_dir)
    config.model.auxiliary.medcontext.consistency.update(consistency)
    if consistency:
        config.custom_hooks.append(dict(type='ObjectiveMonitorHook', interval=2, patience=2))
        config.custom_hooks.append(dict(type='RampUpHook', share=0.2))
    runner = train(config)
    records = [json.loads(line) for path in work_dir.rglob('scalars.json') for line in path.read_text().splitlines()]
    log = ''.join(path.read_text() for path in work_dir.rglob('*.log'))
    return {name: weight.clone() for name, weight in runner.model.state_dict().items()}, records, log


def test_a_term_too_small_to_train_is_reported_and_watching_changes_nothing(nifti_dataset, tmp_path) -> None:
    _, records, log = monitored(nifti_dataset, tmp_path / 'watched', normalize='frobenius')
    last = [record for record in records if 'loss' in record][-1]
    assert last['monitor/gradient_ratio/medcontext.consistency'] < 0.01
    assert last['monitor/gradient_ratio/medcontext.dice_ce'] > 0.1
    assert {'monitor/medcontext.disagreement_hidden', 'monitor/medcontext.disagreement_visible'} <= last.keys()
    assert 0 <= last['monitor/features/dead'] <= 1
    assert last['monitor/features/effective_rank'] >= 1
    assert 'does not train the network' in log
    assert log.count('does not train the network') == 1


def test_the_watched_run_ends_with_the_weights_of_the_unwatched_one(nifti_dataset, tmp_path) -> None:
    config = run_config(nifti_dataset, tmp_path / 'plain')
    plain = train(config).model.state_dict()
    config = run_config(nifti_dataset, tmp_path / 'watched')
    config.custom_hooks.append(dict(type='ObjectiveMonitorHook', interval=1))
    watched = train(config).model.state_dict()
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
