"""Curves of a training, read from its scalars."""

from __future__ import annotations

import json

import pytest
from mmengine.config import Config

from medctx3d.reporting.training_log import charts, floors_of, read_curves


def write(folder, rows):
    (folder / 'vis_data').mkdir(parents=True)
    text = ''.join(row if isinstance(row, str) else json.dumps(row) + '\n' for row in rows)
    (folder / 'vis_data' / 'scalars.json').write_text(text)
    return folder


def train(step, **values):
    return dict(values, iter=step, step=step)


def test_a_resumed_run_replaces_what_was_logged_after_it_took_over(tmp_path):
    first = write(tmp_path / 'a', [train(10, loss=3.0), train(20, loss=2.0), train(30, loss=9.0)])
    second = write(tmp_path / 'b', [train(20, loss=1.5), train(40, loss=1.0)])
    training, _, _ = read_curves([first, second])
    assert training == {'loss': [(10, 3.0), (20, 1.5), (40, 1.0)]}


def test_validations_logged_by_epoch_stand_where_the_training_was(tmp_path):
    rows = [train(10, loss=1.0), dict(dice=0.5, step=0), train(20, loss=1.0), dict(dice=0.6, step=20)]
    _, validation, _ = read_curves([write(tmp_path / 'a', rows)])
    assert validation == {'dice': [(10, 0.5), (20, 0.6)]}


def test_lines_that_are_no_rows_are_counted_and_values_that_are_no_numbers_left_out(tmp_path):
    rows = [train(10, loss=1.0), '[1]\n', '{"loss": 1}\n', train(20, loss=float('nan'), name='x'), '{"loss": 0.5, "it']
    training, _, broken = read_curves([write(tmp_path / 'a', rows)])
    assert training == {'loss': [(10, 1.0)]}
    assert broken == 3


def test_no_training_gives_no_curves():
    assert read_curves([]) == ({}, {}, 0)


def test_charts_put_the_terms_of_an_objective_together():
    points = [(10, 1.0), (20, 0.5)]
    training = dict.fromkeys(
        ('loss', 'loss_dice_ce', 'x.loss_a', 'x.loss_b', 'x.hidden', 'lr', 'time', 'monitor/gradient_ratio/x.a'),
        points,
    )
    validation = dict.fromkeys(('dice', 'nsd', 'hd95', 'dice/liver', 'hd95/liver'), points)
    drawn = {chart.title: chart for chart in charts(training, validation)}
    assert list(drawn['Losses'].series) == ['loss', 'loss_dice_ce']
    assert list(drawn['Losses of x'].series) == ['loss_a', 'loss_b']
    assert list(drawn['Validation'].series) == ['Dice', 'NSD']
    assert list(drawn['Validation (mm)'].series) == ['HD95']
    assert list(drawn['Validation: Dice by class'].series) == ['liver']
    assert list(drawn['Gradient of each objective over the supervised one'].series) == ['x.a']
    shown = sum(len(chart.series) for chart in drawn.values())
    assert shown == len(training) + len(validation)
    assert not drawn['time'].main


@pytest.mark.parametrize('title', ['Losses', 'Losses of x'])
def test_losses_come_first(title):
    points = [(10, 1.0)]
    titles = [chart.title for chart in charts({'lr': points, 'x.loss_a': points, 'loss': points}, {'dice': points})]
    assert titles.index(title) < titles.index('Learning rate')


def test_a_pretraining_is_shown_against_its_floor_with_its_monitors():
    hook = dict(type='TrivialFloorHook', value='prediction', floor='floor_constant')
    floors = floors_of(Config(dict(custom_hooks=[dict(type='DataManifestHook'), hook])))
    assert floors == [('prediction', 'floor_constant')]
    assert floors_of(Config(dict())) == floors_of(None) == []
    keys = ('loss', 'prediction', 'floor_constant', 'probe/linear', 'embedding/cosine', 'embedding/effective_rank')
    drawn = {chart.title: chart for chart in charts({key: [(10, 1.0)] for key in keys}, {}, floors)}
    assert {title: list(chart.series) for title, chart in drawn.items()} == {
        'Losses': ['loss'],
        'Against what an answer without knowledge scores: prediction': ['prediction', 'floor_constant'],
        'Probe of frozen features, mean recall': ['linear'],
        'Embeddings: spread, mean cosine, dead channels': ['cosine'],
        'Embeddings: effective rank': ['effective_rank'],
    }
    assert all(chart.main for chart in drawn.values())
