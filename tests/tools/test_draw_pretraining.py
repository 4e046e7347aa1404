"""The picture of what pretrainings logged."""

from __future__ import annotations

import json

import pytest
from matplotlib.image import imread

from tools import draw_pretraining

HOOK = "dict(type='TrivialFloorHook', value='prediction', floor='floor_constant')"


@pytest.fixture
def run(tmp_path):
    """A work dir whose prediction falls from 1.2 to 0.3 of its floor."""
    folder = tmp_path / 'run' / '20260101_000000' / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'config.py').write_text(f'train_dataloader = dict(batch_size=2)\ncustom_hooks = [{HOOK}]\n')
    rows = [
        {
            'step': step,
            'iter': step,
            'prediction': 0.5 * ratio,
            'floor_constant': 0.5,
            'embedding/cosine': 0.25,
            'probe/linear': 0.6 if step < 30 else 0.8,
        }
        for step, ratio in ((10, 1.2), (20, 0.9), (30, 0.6), (40, 0.3))
    ]
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, rows)))
    return tmp_path / 'run'


def test_the_objective_is_divided_by_the_floor_of_the_same_step(run):
    curves = draw_pretraining.read_run(f'mine={run}', safe=False).curves
    assert dict(curves['objective']) == pytest.approx({10: 1.2, 20: 0.9, 30: 0.6, 40: 0.3})
    assert curves['probe/linear'] == [(10, 0.6), (30, 0.8)]  # logged again and again until the next probe
    assert curves['embedding/cosine'] == [(10, 0.25)]


def test_every_run_is_drawn_in_its_colour_and_told(run, tmp_path, capsys):
    out = tmp_path / 'picture.png'
    draw_pretraining.main([f'first={run}', f'second={run}', '--out', str(out)])
    told = capsys.readouterr().out
    assert all(word in told for word in ('first', 'second', '0.30', '0.600 -> 0.800'))
    picture = imread(out)[..., :3]
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (abs(picture - [part / 255 for part in colour]).max(axis=-1) < 0.01).sum() > 50


def test_what_is_no_pretraining_or_named_twice_is_refused(run, tmp_path):
    other = tmp_path / 'other' / '20260101_000000' / 'vis_data'
    other.mkdir(parents=True)
    (other / 'scalars.json').write_text('{"step": 10, "iter": 10, "loss": 1.0}')
    with pytest.raises(ValueError, match='other: its scalars hold none of objective'):
        draw_pretraining.main([str(tmp_path / 'other'), '--out', str(tmp_path / 'a.png')])
    with pytest.raises(ValueError, match='different names, got run, run'):
        draw_pretraining.main([str(run), str(run), '--out', str(tmp_path / 'a.png')])
    assert not (tmp_path / 'a.png').exists()
