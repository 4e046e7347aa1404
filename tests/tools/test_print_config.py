"""tools/print_config.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.config import Config

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'print_config.py'


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location('print_config_tool', TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def leaf(tmp_path: Path) -> Path:
    (tmp_path / 'base.py').write_text("optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))", encoding='utf-8')
    path = tmp_path / 'leaf.py'
    path.write_text("_base_ = ['base.py']\ntrain_cfg = dict(by_epoch=False, max_iters=3)\n", encoding='utf-8')
    return path


def test_printed_config_is_the_merged_one_and_can_be_read_back(
    tool: ModuleType, leaf: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = ['--cfg-options', 'optim_wrapper.optimizer.lr=0.5', 'train_cfg.max_iters=7']
    assert tool.main([str(leaf), *options]) == 0
    printed = tmp_path / 'printed.py'
    printed.write_text(capsys.readouterr().out, encoding='utf-8')
    cfg = Config.fromfile(printed)
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.5)
    assert cfg.train_cfg.max_iters == 7


def test_check_accepts_a_good_config(tool: ModuleType, leaf: Path, capsys: pytest.CaptureFixture) -> None:
    assert tool.main([str(leaf), '--check']) == 0
    assert 'every component and argument exists, and every value has its type' in capsys.readouterr().err


def test_check_ends_with_one_and_names_the_place(tool: ModuleType, leaf: Path, capsys: pytest.CaptureFixture) -> None:
    assert tool.main([str(leaf), '--check', '--cfg-options', 'optim_wrapper.optimizer.momentm=0.9']) == 1
    err = capsys.readouterr().err
    assert str(leaf) in err
    assert "optim_wrapper.optimizer: SGD takes no argument 'momentm'. Did you mean 'momentum'?" in err


def test_diff_prints_what_changed_and_ends_as_diff_does(
    tool: ModuleType, leaf: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other = tmp_path / 'other.py'
    other.write_text(
        leaf.read_text(encoding='utf-8') + 'optim_wrapper = dict(optimizer=dict(lr=0.2))\nresume = True\n'
    )
    for safe in ([], ['--safe']):
        assert tool.main(['--diff', str(leaf), str(other), *safe]) == 1
        assert capsys.readouterr().out == '~ optim_wrapper.optimizer.lr: 0.1 -> 0.2\n+ resume = True\n'  # no colour
        assert tool.main(['--diff', str(leaf), str(leaf), *safe]) == 0
        assert capsys.readouterr().out == ''
        assert tool.main(['--diff', str(leaf), str(tmp_path / 'none.py'), *safe]) == 2
        assert 'none.py does not exist' in capsys.readouterr().err


def test_diff_is_coloured_in_a_terminal(
    tool: ModuleType, leaf: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.delenv('NO_COLOR', raising=False)
    assert tool.main(['--diff', str(leaf.parent / 'base.py'), str(leaf)]) == 1
    assert '\x1b[32m+ train_cfg.max_iters = 3' in capsys.readouterr().out


def test_safe_shows_what_it_would_not_build(tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / 'own.py'
    path.write_text("model = dict(\n    type='os.system')", encoding='utf-8')
    assert tool.main(['--safe', str(path)]) == 0
    assert "type='os.system'" in capsys.readouterr().out
    assert tool.main(['--safe', str(path), '--check']) == 1
    assert f'model.type ({path}, line 2): ' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments',
    [[], ['a.py', '--diff', 'a.py', 'b.py'], ['--diff', 'a', 'b', '--check'], ['--diff', 'a', 'b', '--json', 'c']],
)
def test_options_that_exclude_one_another_are_refused(tool: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        tool.main(arguments)
    assert caught.value.code == 2
