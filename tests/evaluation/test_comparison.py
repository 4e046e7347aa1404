"""Comparisons of runs: ranks against a plain reference, and runs that must not be compared."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from medctx3d.evaluation.comparison import compare
from medctx3d.evaluation.metrics.score_rules import ScoreRules, state_rules
from medctx3d.evaluation.metrics.summary import summarize
from medctx3d.evaluation.ranking import rank_methods
from medctx3d.evaluation.report import write_results
from medctx3d.evaluation.runs import Run, check_comparable, read_runs
from medctx3d.evaluation.statistics import bootstrap_interval, sign_flip_test

TOOL = Path(__file__).parents[2] / 'tools' / 'compare.py'
METRICS = ('dice', 'hd95', 'volume_difference_ml')
CASES = [f'case{number}' for number in range(9)]


def results_of(shift, *, seed=0, cases=CASES, rules=ScoreRules(METRICS), regions=None):  # noqa: B008
    """Nine cases of two classes; a larger shift is better in Dice and HD95 in most cases."""
    noise = np.random.default_rng(0).normal(0, 0.1, (len(cases), 2))
    own = np.random.default_rng(seed).normal(0, 0.01, (len(cases), 2))
    dice = 0.6 + noise + own + shift
    rows = [
        dict(
            case=case,
            classes={
                name: dict(dice=dice[i, j], hd95=20 * (1 - dice[i, j]), volume_difference_ml=10 * own[i, j])
                for j, name in enumerate(('near', 'far'))
            },
        )
        for i, case in enumerate(cases)
    ]
    return summarize(rows, reported=['near', 'far'], rules=state_rules(rules), regions=regions)


def three_runs():
    return [Run(name, results_of(shift, seed=i)) for i, (name, shift) in enumerate(dict(a=0, b=0.1, c=0.005).items())]


def test_ranks_are_averaged_over_cases_then_metrics():
    generator = np.random.default_rng(3)
    tables = dict(dice=generator.random((6, 3)), hd95=generator.random((6, 3)) * 9)
    tables['dice'][2] = 0.5  # all tied
    ranks = {
        'dice': np.array([stats.rankdata(-row) for row in tables['dice']]),
        'hd95': np.array([stats.rankdata(row) for row in tables['hd95']]),  # fewer mm are better
    }
    found = rank_methods(tables)
    for i, place in enumerate(found.places):
        assert place.by_metric == pytest.approx({name: table[:, i].mean() for name, table in ranks.items()})
        assert place.mean_rank == pytest.approx(np.mean([table[:, i].mean() for table in ranks.values()]))
        assert place.interval.low <= place.mean_rank <= place.interval.high
    assert sum(place.first for place in found.places) == pytest.approx(1)


def test_stability_and_first_are_those_of_all_possible_draws():
    table = np.array([[0.9, 0.8, 0.1], [0.5, 0.6, 0.2], [0.7, 0.4, 0.5]])
    ranks = np.array([stats.rankdata(-row) for row in table])
    first, taus = np.zeros(3), []
    for draw in itertools.product(range(3), repeat=3):
        means = np.round(ranks[list(draw)].mean(axis=0), 9)
        best = means == means.min()
        first += best / best.sum() / 27
        taus.append(stats.kendalltau(np.round(ranks.mean(axis=0), 9), means).statistic)
    found = rank_methods(dict(dice=table))
    assert [place.first for place in found.places] == pytest.approx(first, abs=0.02)
    assert found.stability == pytest.approx(np.nanmean(taus), abs=0.02)


def test_a_method_that_always_wins_is_first_in_every_draw():
    table = np.random.default_rng(0).random((8, 1)) + np.array([0.0, 0.2, 0.1])
    found = rank_methods(dict(dice=table, nsd=table))
    assert [place.mean_rank for place in found.places] == [3, 1, 2]
    assert [place.first for place in found.places] == [0, 1, 0]
    assert found.stability == 1


def test_equal_methods_share_the_first_place():
    found = rank_methods(dict(dice=np.ones((5, 2))))
    assert [place.first for place in found.places] == [0.5, 0.5]
    assert np.isnan(found.stability)


def test_cases_that_some_method_lacks_are_not_ranked():
    table = np.array([[0.9, 0.1], [np.nan, 0.5], [0.2, 0.3]])
    found = rank_methods(dict(dice=table))
    assert found.cases == {'dice': 2}
    assert found.places[0].mean_rank == 1.5
    with pytest.raises(ValueError, match='no case has hd95'):
        rank_methods(dict(dice=table, hd95=np.full((3, 2), np.nan)))


def test_scores_and_tests_are_those_of_the_cases_means():
    runs = three_runs()
    found = compare(runs, metrics=['dice'])
    values = {
        run.name: np.array([np.mean([c['dice'] for c in case['classes'].values()]) for case in run.results['cases']])
        for run in runs
    }
    assert found.scores['dice'][1].mean == pytest.approx(values['b'].mean())
    assert found.scores['dice'][1].interval == pytest.approx(bootstrap_interval(values['b']))
    pair = next(pair for pair in found.pairs['dice'] if (pair.first, pair.second) == ('a', 'b'))
    assert pair.difference == pytest.approx((values['b'] - values['a']).mean())
    assert pair.p == pytest.approx(sign_flip_test(values['b'] - values['a']))
    assert pair.p_holm >= pair.p
    assert pair.tally == (9, 0, 0)
    assert found.ranking.places[1].mean_rank == 1


def test_fewer_mm_win_and_a_volume_difference_is_better_near_zero():
    runs = three_runs()
    for case in runs[1].results['cases']:
        for scores in case['classes'].values():
            scores['volume_difference_ml'] = -50.0  # far below any of the others
    found = compare(runs, metrics=['hd95', 'volume_difference_ml'])
    tallies = {metric: pairs[0].tally for metric, pairs in found.pairs.items()}
    assert tallies == dict(hd95=(9, 0, 0), volume_difference_ml=(0, 0, 9))
    assert found.pairs['hd95'][0].difference < 0
    assert found.pairs['volume_difference_ml'][0].difference > 0


@pytest.mark.parametrize(
    ('other', 'words'),
    [
        (dict(rules=ScoreRules(METRICS, convention='nan')), "rules.convention: 'diagonal-penalty'.*'nan'"),
        (dict(rules=ScoreRules(METRICS, surface='border')), "rules.surface: 'area' .a., 'border' .b."),
        (dict(rules=ScoreRules(METRICS, means='of_cases')), 'rules.means'),
        (dict(cases=[*CASES[:8], 'other']), 'cases only in a: case8\n  cases only in b: other'),
        (dict(regions=dict(near=['far'])), 'rules.regions'),
    ],
)
def test_runs_that_were_not_scored_alike_are_refused_with_what_differs(other, words):
    with pytest.raises(ValueError, match=words):
        check_comparable([Run('a', results_of(0)), Run('b', results_of(0, **other))])


def test_rules_of_metrics_that_are_not_shared_do_not_matter():
    first = results_of(0)
    second = results_of(0, rules=ScoreRules((*METRICS, 'nsd'), nsd_tolerance_mm=5))
    check_comparable([Run('a', first), Run('b', second)])


def test_unknown_metrics_and_classes_are_refused():
    with pytest.raises(ValueError, match="Did you mean 'dice'"):
        compare(three_runs(), metrics=['dicee'])
    with pytest.raises(ValueError, match='spleen'):
        compare(three_runs(), classes=['spleen'])


def test_tool_writes_the_comparison_and_names_runs_by_their_folders(tmp_path, monkeypatch, capsys):
    for run in three_runs():
        write_results(tmp_path / run.name, run.results)
    spec = importlib.util.spec_from_file_location('compare_tool', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.chdir(tmp_path)
    tool.main(['a', 'ours=b/results.json', 'c', '--out', 'found'])
    text = Path('found/comparison.md').read_text()
    assert text.splitlines()[0] == '# 3 runs on 9 cases'
    assert text.index('| ours | 1.00') < text.index('| c | 2')
    assert 'diagonal-penalty' in text
    assert text.splitlines()[:20] == capsys.readouterr().out.splitlines()[:20]
    content = json.loads(Path('found/comparison.json').read_text(), parse_constant=pytest.fail)
    assert content['names'] == ['a', 'ours', 'c']
    assert content['pairs']['dice'][0]['tally'] == dict(wins=9, ties=0, losses=0)
    assert Path('found/comparison.png').stat().st_size > 5000


def test_runs_that_cannot_be_read_are_named(tmp_path):
    write_results(tmp_path / 'a', results_of(0))
    with pytest.raises(ValueError, match='at least two runs'):
        read_runs([str(tmp_path / 'a')])
    with pytest.raises(ValueError, match="two runs are called 'a'"):
        read_runs([str(tmp_path / 'a'), str(tmp_path / 'a' / 'results.json')])
    (tmp_path / 'b').mkdir()
    with pytest.raises(FileNotFoundError, match=r'b.results.json.*tools/rescore.py'):
        read_runs([str(tmp_path / 'a'), str(tmp_path / 'b')])
    (tmp_path / 'b' / 'results.json').write_text('{"mean": 1}')
    with pytest.raises(ValueError, match='must hold scored cases'):
        read_runs([str(tmp_path / 'a'), str(tmp_path / 'b')])
