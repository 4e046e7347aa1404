"""tools/list_components.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from medctx3d.registry import REGISTRIES

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'list_components.py'


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location('list_components_tool', TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('kind', ['masking', 'MASKINGS', 'maskings'])
def test_one_kind_prints_each_name_with_its_line(tool: ModuleType, capsys: pytest.CaptureFixture, kind: str) -> None:
    assert tool.main([kind]) == 0
    out = capsys.readouterr().out
    assert out.startswith('MASKINGS (')
    row = next(line for line in out.splitlines() if line.split()[0] == 'TubeMask')
    assert len(row.split()) > 3


def test_no_kind_prints_every_registry_that_holds_something(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    assert tool.main([]) == 0
    titles = {line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(' ')}
    assert {'BACKBONES', 'HEADS', 'LOSSES', 'MASKINGS', 'HOOKS', 'TRANSFORMS', 'METRICS'} <= titles
    assert titles == {kind for kind, registry in REGISTRIES.items() if registry.module_dict}


def test_unknown_kind_ends_with_two_and_the_closest_one(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    assert tool.main(['backbonez']) == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert 'Closest: backbones' in captured.err


def test_terminal_gets_a_table(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True)
    tool.show({'MASKINGS': {'TubeMask': 'Hide a tube.'}})
    out = capsys.readouterr().out
    assert 'MASKINGS (1)' in out
    assert '┃' in out


def test_help_has_examples(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        tool.main(['--help'])
    assert stopped.value.code == 0
    assert 'python tools/list_components.py' in capsys.readouterr().out
