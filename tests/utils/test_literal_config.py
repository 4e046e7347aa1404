"""A config read as data equals the same config run, and nothing but data is read."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from medctx3d.engine.launch import load_config
from medctx3d.utils.config_check import ConfigError
from medctx3d.utils.literal_config import merge, read_literal_config
from medctx3d.utils.literal_reader import MAX_DEPTH, MAX_SIZE

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('*.py'))


def read(folder: Path, **files: str) -> dict[str, Any]:
    """What ``own`` of some files says."""
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text, encoding='utf-8')
    return read_literal_config(folder / 'own.py').config.to_dict()


@pytest.mark.parametrize('name', SHIPPED)
def test_every_shipped_config_says_the_same_read_and_run(name: str) -> None:
    read_as_data = read_literal_config(ROOT / name).config
    assert read_as_data.to_dict() == Config.fromfile(str(ROOT / name), lazy_import=False).to_dict()
    assert read_as_data.filename == str(ROOT / name)


@pytest.mark.parametrize('name', [name for name in SHIPPED if '_base_' not in name])
def test_every_shipped_config_may_be_built_under_safe(name: str) -> None:
    assert load_config(ROOT / name, safe=True).filename == str(ROOT / name)


def test_literals_are_those_of_python(tmp_path: Path) -> None:
    text = """'''A docstring.'''
base = dict(a=1, b=[1, (2.5, -3)], **{'c d': None})
other = {**base, 'e': (*base['b'],)} if False else 0
"""
    with pytest.raises(ConfigError, match='line 3: a condition'):
        read(tmp_path, own=text)
    text = 'a = [1, -2.5, +3, "x" "y", True, None]\nb = dict(c=(*a, 2 / 3), **{"d": 1})\n'
    text += 'd = {2: a, **b}\ne = 7 // 2 * 3 - 1\n'
    expected: dict[str, Any] = {}
    exec(text, expected)  # the oracle, of a text that this test wrote
    assert read(tmp_path, own=text) == {key: expected[key] for key in 'abde'}


def test_a_name_is_a_copy(tmp_path: Path) -> None:
    found = read(tmp_path, own='a = dict(x=dict(y=1))\nb = [a, a]\n')
    found['b'][0]['x']['y'] = 2
    assert found == {'a': {'x': {'y': 1}}, 'b': [{'x': {'y': 2}}, {'x': {'y': 1}}]}


trees = st.recursive(
    st.integers(0, 3) | st.just([1]),
    lambda below: st.dictionaries(st.sampled_from(['a', 'b', 'c', '_delete_']), below, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))


@settings(max_examples=300, deadline=None)
@given(trees, trees)
def test_merging_is_that_of_mmengine(own: dict, base: dict) -> None:
    try:
        expected = Config._merge_a_into_b(copy.deepcopy(own), copy.deepcopy(base))
    except TypeError:
        with pytest.raises(TypeError, match='_delete_=True'):
            merge(own, base)
        return
    assert merge(own, base) == expected


def test_bases_merge_in_order_and_share_no_name(tmp_path: Path) -> None:
    files = dict(one='a = dict(x=1, y=2)', two='b = 3')
    assert read(tmp_path, own="_base_ = ['one.py', 'two.py']\na = dict(x=5)", **files) == {'a': dict(x=5, y=2), 'b': 3}
    assert read(tmp_path, own="_base_ = 'one.py'\na = dict(_delete_=True, z=0)") == {'a': dict(z=0)}
    with pytest.raises(ConfigError, match='a is in two of them'):
        read(tmp_path, own="_base_ = ['one.py', 'three.py']", three='a = 1')
    with pytest.raises(ConfigError, match='must not lead back to itself'):
        read(tmp_path, own="_base_ = 'back.py'", back="_base_ = 'own.py'")


def test_a_value_of_a_base_is_taken_and_nothing_else_in_double_braces(tmp_path: Path) -> None:
    files = dict(one='a = dict(x=dict(y=[1]))')
    assert read(tmp_path, own="_base_ = 'one.py'\nb = dict(c={{_base_.a.x}})", **files)['b'] == {'c': {'y': [1]}}
    for text in ('{{_base_}}', '{{_base_.a.z}}', '{{_base_.a.x.y.z}}', '{{os.environ}}', '{1, 2}', '{{1, 2}}'):
        with pytest.raises(ConfigError, match=r'own\.py, line 2: (a set|_base_)'):
            read(tmp_path, own=f"_base_ = 'one.py'\nb = {text}")


@pytest.mark.parametrize(
    ('base', 'rule'),
    [
        ('../outside.py', 'a base must be below'),
        ('link.py', 'a base must be below'),
        ('{}/outside.py', 'relative path'),
        ('https://example.org/base.py', 'relative path'),
        ('mmengine::base.py', 'relative path'),
        ('base.yaml', r'\.py or \.json'),
        ('none.py', 'none.py is none'),
    ],
)
def test_a_base_lies_in_the_tree_of_its_config(tmp_path: Path, base: str, rule: str) -> None:
    (tmp_path / 'outside.py').write_text('secret = 1', encoding='utf-8')
    own = tmp_path / 'own'
    own.mkdir()
    (own / 'link.py').symlink_to(tmp_path / 'outside.py')
    with pytest.raises(ConfigError, match=rule):
        read(own, own=f'_base_ = {base.format(tmp_path)!r}')


def test_the_tree_begins_beside_the_nearest_bases(tmp_path: Path) -> None:
    for folder in ('_base_', 'method'):
        (tmp_path / folder).mkdir()
    (tmp_path / '_base_' / 'x.py').write_text('a = 1', encoding='utf-8')
    assert read(tmp_path / 'method', own="_base_ = '../_base_/x.py'") == {'a': 1}


def test_environment_variables_of_configs_are_read_and_no_others(tmp_path: Path, monkeypatch) -> None:
    text = "root = '{{$HIPPOCAMPUS_ROOT:data/hippocampus}}/x'"
    assert read(tmp_path, own=text) == {'root': 'data/hippocampus/x'}
    monkeypatch.setenv('HIPPOCAMPUS_ROOT', '/scans')
    assert read(tmp_path, own=text) == {'root': '/scans/x'}
    monkeypatch.setenv('SECRET_TOKEN', 'abc')
    with pytest.raises(ConfigError, match=r'own\.py, line 2: the environment variable SECRET_TOKEN') as caught:
        read(tmp_path, own="a = 1\nroot = '{{$SECRET_TOKEN:x}}'")
    assert 'abc' not in str(caught.value)
    with pytest.raises(ConfigError, match='line 1: a template'):
        read(tmp_path, own="name = '{{ fileBasename }}'")


def test_strings_are_known_by_line(tmp_path: Path) -> None:
    (tmp_path / 'one.py').write_text('\na = "here"', encoding='utf-8')
    read(tmp_path, own="_base_ = 'one.py'")
    assert read_literal_config(tmp_path / 'own.py').lines['here'] == f'{tmp_path / "one.py"}, line 2'


@pytest.mark.parametrize(
    ('text', 'rule'),
    [
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"a": NaN}', 'NaN'),
        ('[1]', 'must be a JSON object'),
        ('{"a":\n}', 'line 2: this is no JSON'),
        ('{"a": ' + '[' * 60 + ']' * 60 + '}', f'more than {MAX_DEPTH} levels'),
        ('{"a": ' + '[' * 100_000 + ']' * 100_000 + '}', 'levels'),
    ],
)
def test_json_is_read_strictly(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / 'own.json').write_text(text, encoding='utf-8')
    with pytest.raises(ConfigError, match=rule):
        read_literal_config(tmp_path / 'own.json')


@pytest.mark.parametrize(
    'text',
    [
        '-' * 200_000 + '1',
        'not ' * 60_000 + '1',
        '+'.join(['1'] * 100_000),
        '(' * 100_000 + ')' * 100_000,
        'a.' * 100_000 + 'b',
        'a' + '[0]' * 60_000,
        'f(' * 60_000 + ')' * 60_000,
        'lambda: ' * 30_000 + '1',
        '1 if 1 else ' * 20_000 + '1',
        '9' * 200_000,
        '"x" ' * 60_000,
    ],
    ids=lambda text: text[:6],
)
def test_a_text_that_nests_to_break_the_parser_is_refused(tmp_path: Path, text: str) -> None:
    if text.startswith('"x"'):
        assert read(tmp_path, own=f'a = {text}') == {'a': 'x' * 60_000}
        return
    with pytest.raises(ConfigError, match=r'own\.py'):
        read(tmp_path, own=f'a = {text}')


def test_files_that_are_no_configs_are_refused(tmp_path: Path) -> None:
    own = tmp_path / 'own.py'
    own.write_bytes(b'a = "\xff"')
    with pytest.raises(ConfigError, match='UTF-8'):
        read_literal_config(own)
    own.write_text('#' * 2**19, encoding='utf-8')
    with pytest.raises(ConfigError, match='must not exceed 262144 bytes'):
        read_literal_config(own)
    os.rename(own, tmp_path / 'own.yaml')
    with pytest.raises(ConfigError, match=r'\.py or \.json'):
        read_literal_config(tmp_path / 'own.yaml')
    doubling = ''.join(f'a{i + 1} = [*a{i}, *a{i}]\n' for i in range(40))
    with pytest.raises(ConfigError, match=rf'line \d+: more than {MAX_SIZE} values'):
        read(tmp_path, own=f'a0 = [1]\n{doubling}')
