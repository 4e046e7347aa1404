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


def test_the_tables_of_a_page_are_renewed_and_the_rest_is_kept(tool: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / 'page.md'
    table = '| name | what it is |\n|---|---|\n'
    page.write_text(f'# Page\n\n## MASKINGS\n\nwhere\n\n{table}| `Gone` | old |\n\n## OTHER\n\n{table}| `A` | b |\n')
    assert tool.main(['maskings', '--write', str(page)]) == 0
    text = page.read_text()
    assert text.startswith(f'# Page\n\n## MASKINGS\n\nwhere\n\n{table}| `BlockMask` |')
    assert 'Gone' not in text
    assert text.endswith(f'\n\n## OTHER\n\n{table}| `A` | b |\n')


def test_a_page_without_the_section_is_left_alone(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    page = tmp_path / 'page.md'
    page.write_text('# Page\n')
    assert tool.main(['--write', str(page)]) == 2
    assert 'no section "## BACKBONES"' in capsys.readouterr().err
    assert page.read_text() == '# Page\n'
