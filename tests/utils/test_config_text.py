"""The text of a config is read, never run."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from medctx3d.utils.config_text import read_config_text


def test_a_merged_config_is_read_back_from_its_text() -> None:
    values = dict(
        model=dict(type='A', sizes=(1, 2, 3), none=None, nested=[dict(x=-1.5), dict({'not a name': True, 3: 'y'})]),
        work_dir='runs',
        empty=dict(),
    )
    assert read_config_text(Config(values).pretty_text) == values


def test_code_in_the_text_is_passed_over(tmp_path: Path) -> None:
    planted = tmp_path / 'ran'
    text = (
        f'a = __import__("pathlib").Path({str(planted)!r}).touch()\n'
        f'b = dict(x=open({str(planted)!r}, "w"))\n'
        f'open({str(planted)!r}, "w")\n'
        'c = [value for value in (1, 2)]\n'
        'd = dict((1, 2))\n'
        'e = 5\n'
    )
    assert read_config_text(text) == dict(e=5)
    assert not planted.exists()


def test_what_is_no_python_gives_nothing() -> None:
    assert read_config_text('model = dict(') == {}
    assert read_config_text('a = ' + '(' * 5000) == {}
    assert read_config_text('\0') == {}
