"""What a report says of jobs whose scores are known."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from helpers_studies import write_finished
from matplotlib.image import imread

from medctx3d.evaluation.statistics import bootstrap_interval, holm, sign_flip_test
from medctx3d.studies.aggregate import pairs_of
from medctx3d.studies.job import Job, write_json
from medctx3d.studies.report import write_report
from medctx3d.studies.results import finished_jobs

CASES = [f'case{number}' for number in range(8)]
SEEDS = (0, 1, 2)


def scores(arm, shots, seed):
    """Dice and HD95 of two classes in eight cases; ``better`` is better by 0.1 and 2 mm in all but one case."""
    rng = np.random.default_rng((shots, seed))
    found = {}
    for case in CASES:
        dice, hd95 = rng.uniform(0.5, 0.8), rng.uniform(3, 9)
        if arm == 'better':
            gain = -0.05 if case == 'case7' else 0.1
            dice, hd95 = dice + gain, hd95 - 20 * gain
        found[case] = {'near': dict(dice=dice, hd95=hd95), 'far': dict(dice=dice - 0.2, hd95=hd95 + 1)}
    return found


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp('study')
    terms = dict(kind='few-shot', select='last', volumes=3, train='3 volumes', test='8 volumes', iterations=3)
    write_json(folder / 'study.json', dict(terms, reported=['near', 'far'], arms=['plain', 'better']))
    (folder / 'commands.txt').write_text('python tools/fewshot.py a b\n' * 2)
    for arm in ('plain', 'better'):
        (folder / 'arms').mkdir(exist_ok=True)
        (folder / 'arms' / f'{arm}.py').write_text(f'name = {arm!r}\ntrain_dataloader = dict(batch_size=2)\n')
        for shots in (1, 3):
            for seed in SEEDS:
                job = Job(
                    arm, f'shots-{shots}', seed, train=('a',), unseen=('far',) if (shots, seed) == (1, 2) else ()
                )
                write_finished(folder, job, scores(arm, shots, seed))
    waiting = Job('better', 'shots-3', 3, train=('a',))
    write_json(waiting.folder(folder) / 'job.json', waiting._asdict())
    write_report(folder)
    return folder


@pytest.fixture(scope='module')
def results(study):
    return json.loads((study / 'results.json').read_text())


def per_case(arm, shots, metric):
    """(cases, seeds) of the mean over classes, by definition."""
    return np.array(
        [[np.mean([c[metric] for c in scores(arm, shots, seed)[case].values()]) for seed in SEEDS] for case in CASES]
    )


def pick(rows, **wanted):
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


@pytest.mark.parametrize('metric', ['dice', 'hd95'])
@pytest.mark.parametrize('shots', [1, 3])
def test_means_and_intervals_are_over_cases_with_seeds_averaged_first(results, metric, shots):
    cell = pick(results['scores'], arm='better', setting=f'shots-{shots}', metric=metric)
    table = per_case('better', shots, metric)
    assert cell['mean'] == pytest.approx(table.mean())
    interval = bootstrap_interval(table.mean(axis=1))
    assert (cell['interval']['low'], cell['interval']['high']) == pytest.approx(interval)
    assert [*cell['seed_means'].values()] == pytest.approx(table.mean(axis=0))
    assert cell['seed_spread'] == pytest.approx(table.mean(axis=0).std(ddof=1))


def test_a_pair_is_compared_case_by_case_and_fewer_mm_win(results):
    for metric, sign in (('dice', 1), ('hd95', -1)):
        pair = pick(results['pairs'], setting='shots-3', metric=metric)
        difference = (per_case('better', 3, metric) - per_case('plain', 3, metric)).mean(axis=1)
        assert (pair['first'], pair['second']) == ('plain', 'better')
        assert pair['difference'] == pytest.approx(difference.mean())
        assert np.sign(pair['difference']) == sign
        assert pair['p'] == pytest.approx(sign_flip_test(difference))
        assert pair['tally'] == dict(wins=7, ties=0, losses=1)
        assert (pair['seeds_won'], pair['seeds']) == (3, 3)
        assert pair['p_holm'] == pytest.approx(min(1, 2 * pair['p']))


def test_arms_are_compared_all_with_all_or_with_one_alone(study):
    finished = finished_jobs(study)
    third = [item._replace(job=item.job._replace(arm='third')) for item in finished if item.job.arm == 'plain']
    arms = ['plain', 'better', 'third']

    def compared(**options):
        found = pairs_of([*finished, *third], arms, 'dice', **options)
        return {(pair.first, pair.second) for pair in found}, found

    every, _ = compared()
    assert every == {('plain', 'better'), ('plain', 'third'), ('better', 'third')}
    chosen, pairs = compared(against='better')
    assert chosen == {('better', 'plain'), ('better', 'third')}
    assert len(pairs) == 4  # in two settings
    assert [pair.p_holm for pair in pairs] == pytest.approx(holm([pair.p for pair in pairs]))


def test_a_report_against_an_arm_that_is_not_there_is_refused(study):
    with pytest.raises(ValueError, match=r'--against must name an arm with a finished job \(plain, better\)'):
        write_report(study, against='other')


def test_every_score_is_in_the_long_table(study):
    with open(study / 'results.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ['arm', 'shots', 'seed', 'case', 'class', 'dice', 'hd95']
    assert len(rows) == 2 * 2 * 3 * 8 * 2
    row = pick(rows, arm='better', shots='3', seed='2', case='case7')
    assert float(row['dice']) == pytest.approx(scores('better', 3, 2)['case7'][row['class']]['dice'])


def test_the_report_has_tables_warnings_and_what_was_typed(study, results):
    text = (study / 'report.md').read_text()
    cell = pick(results['scores'], arm='better', setting='shots-3', metric='dice')
    low, high = cell['interval'].values()
    assert f'{cell["mean"]:.4f} [{low:.4f}, {high:.4f}] |\n' in text
    assert 'finished: 12 of 13 trainings' in text
    assert '**incomplete**' in text
    assert 'no volume of shots-1 seed-2 shows far' in text
    assert '| shots-3 | better against plain | +0.08' in text
    assert '7 / 0 / 1 | 3 of 3 |' in text
    assert '## HD95 (mm)' in text
    assert text.count('python tools/fewshot.py a b') == 1
    assert '(dice_by_shots.png)' in text


def test_the_files_say_what_made_them(results):
    assert {'torch', 'medctx3d'} <= set(results['versions'])
    assert len(set(results['configs'].values())) == 2
    assert pick(results['compute'], arm='better')['trainings'] == 6
    assert pick(results['compute'], arm='better')['batch_size'] == 2
    assert pick(results['compute'], arm='better')['cpu_seconds'] == 12


def test_the_plot_shows_every_arm_in_its_colour(study):
    picture = imread(study / 'dice_by_shots.png')[..., :3]
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (np.abs(picture - np.array(colour) / 255).max(axis=-1) < 0.01).sum() > 200


def test_scores_that_are_missing_stay_missing(tmp_path):
    terms = dict(kind='cross-validation', select='last', volumes=2, train='2 volumes', test='', iterations=3)
    write_json(tmp_path / 'study.json', dict(terms, reported=['near'], arms=['one']))
    (tmp_path / 'arms').mkdir()
    (tmp_path / 'arms' / 'one.py').write_text('train_dataloader = dict(batch_size=2)')
    for fold, value in ((0, 0.5), (1, None)):
        write_finished(tmp_path, Job('one', f'fold-{fold}', 0, train=('x',)), {f'c{fold}': {'near': {'dice': value}}})
    write_report(tmp_path)
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results['scores'][0]['setting'] == 'all folds'
    assert (results['scores'][0]['mean'], results['scores'][0]['cases']) == (0.5, 1)
    assert results['scores'][0]['interval'] == dict(low=None, high=None)
    assert (tmp_path / 'results.csv').read_text().splitlines() == [
        'arm,fold,seed,case,class,dice',
        'one,0,0,c0,near,0.5',
        'one,1,0,c1,near,',
    ]
    assert not (tmp_path / 'dice_by_shots.png').exists()


def test_a_study_without_a_finished_job_has_nothing_to_report(tmp_path):
    write_json(tmp_path / 'study.json', dict(arms=[]))
    with pytest.raises(ValueError, match='no job of the study is finished'):
        write_report(tmp_path)
