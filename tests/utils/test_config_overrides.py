"""Variables that a base has already written where they are used."""

from __future__ import annotations

import pytest

from medctx3d.engine import load_config
from medctx3d.utils.config_check import ConfigError

BASE = """
window = (0, 1)
crop = 3
patch_size = (8, 8, 8)
train_dataloader = dict(dataset=dict(window=window, crops=[crop], size='$patch_size'))
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'middle.py').write_text("_base_ = 'base.py'\n")

    def leaf(text):
        file = tmp_path / 'leaf.py'
        file.write_text("_base_ = ['middle.py']\n" + text)
        return file

    return leaf


@pytest.mark.parametrize('safe', [False, True])
@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('window = (0, 2)', r'window is set here, but base\.py .* set train_dataloader\.dataset\.window instead'),
        ('crop = 4', r'crop is set here.* set where the base uses it instead'),
    ],
)
def test_a_variable_that_would_be_ignored_is_refused_with_the_place_that_counts(write, text, words, safe):
    with pytest.raises(ConfigError, match=words):
        load_config(write(text), safe=safe)


@pytest.mark.parametrize(
    ('text', 'place', 'value'),
    [
        ('patch_size = (4, 4, 4)', 'size', (4, 4, 4)),  # referred to by '$patch_size'
        ('window = (0, 2)\ntrain_dataloader = dict(dataset=dict(window=window))', 'window', (0, 2)),
        ('other = 1\ntrain_dataloader = dict(dataset=dict(window=(0, 3)))', 'window', (0, 3)),
    ],
)
def test_a_variable_that_counts_is_taken(write, text, place, value):
    assert tuple(load_config(write(text)).train_dataloader.dataset[place]) == value
