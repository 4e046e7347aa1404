"""A config as JSON, and differences between configs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from medctx3d.datasets.transforms import PackVolume
from medctx3d.engine.launch import load_config
from medctx3d.utils.config_check import ConfigError
from medctx3d.utils.config_export import differences, write_json_config

ROOT = Path(__file__).resolve().parents[2]
LEAF = ROOT / 'configs' / 'medcontext' / 'unet_hippocampus.py'


def changes(old: dict, new: dict) -> list[str]:
    return [str(difference) for difference in differences(Config(old), Config(new))]


def test_each_change_is_told_by_dotted_key() -> None:
    old = dict(a=1, b=dict(c=(1, 2), d='x'), hooks=[dict(type='A', n=1), dict(type='B')])
    new = dict(b=dict(c=[1, 3], d='x', e=None), hooks=[dict(type='A', n=2)], f={})
    assert changes(old, new) == [
        '- a = 1',
        '~ b.c: [1, 2] -> [1, 3]',
        '~ hooks[0].n: 1 -> 2',
        "- hooks[1].type = 'B'",
        '+ b.e = None',
        '+ f = {}',
    ]


def test_a_list_is_as_a_tuple_and_a_bool_is_no_number() -> None:
    assert changes(dict(a=(1, (2, 3))), dict(a=[1, [2, 3]])) == []
    assert changes(dict(a=1, b=1), dict(a=True, b=1.0)) == ['~ a: 1 -> True', '~ b: 1 -> 1.0']


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab', max_size=2),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from('xyz'), below, max_size=3),
    max_leaves=8,
)
trees = st.dictionaries(st.sampled_from(['a', 'b', 'c']), values, max_size=3)


@settings(max_examples=60, deadline=None)
@given(trees, trees)
def test_nothing_differs_exactly_where_the_configs_are_equal(old: dict, new: dict) -> None:
    assert (changes(old, new) == []) == (json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True))
    forth, back = changes(old, new), changes(new, old)
    assert sorted(line[0] for line in forth) == sorted({'+': '-', '-': '+', '~': '~'}[line[0]] for line in back)


def test_an_exported_config_is_read_back_as_the_same(tmp_path: Path) -> None:
    path = tmp_path / 'own.json'
    original = load_config(LEAF)
    write_json_config(original, path)
    for safe in (True, False):
        assert differences(original, load_config(path, safe=safe)) == []


def test_what_json_cannot_say_is_refused_with_all_places(tmp_path: Path) -> None:
    config = Config(dict(a=[dict(type=PackVolume)], b={1: 2}, c=float('inf'), metainfo=dict(label_map={3: 1})))
    with pytest.raises(ConfigError) as caught:
        write_json_config(config, tmp_path / 'own.json')
    assert [line.split(':')[0].strip() for line in str(caught.value).splitlines()[1:]] == ['a[0].type', 'b.1', 'c']
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r'must name a \.json file'):
        write_json_config(Config(dict(a=1)), tmp_path / 'own.py')
