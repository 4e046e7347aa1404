"""The documentation, held against the package: links, component and tool lists, and the code it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medctx3d.registry import REGISTRIES, list_components

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in (ROOT / 'docs').rglob('*.md') if '_build' not in path.parts)
TOOLS = sorted(path for path in (ROOT / 'tools').rglob('*') if path.suffix in ('.py', '.sh'))
FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)')


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def broken_links(text: str, folder: Path) -> list[str]:
    """Relative link targets of a page that do not exist; what stands in code is no link."""
    prose = re.sub(r'`[^`]*`', '', FENCE.sub('', text))
    targets = [target.split('#')[0] for target in LINK.findall(prose) if '://' not in target]
    return [target for target in targets if target and not (folder / target).exists()]


def code(page: Path, language: str = 'python') -> list[str]:
    return [body for found, body in FENCE.findall(page.read_text(encoding='utf-8')) if found == language]


@pytest.mark.parametrize('page', [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *PAGES], ids=page_id)
def test_links_and_images_exist(page: Path) -> None:
    assert broken_links(page.read_text(encoding='utf-8'), page.parent) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    text = '[a](no.md) ![b](no.png) [c](https://x.org/y.md) `[d](no)`\n```\n[e](no)\n```\n[f](here.md#part)\n'
    (tmp_path / 'here.md').touch()
    assert broken_links(text, tmp_path) == ['no.md', 'no.png']


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_python_on_a_page_is_python(page: Path) -> None:
    for block in code(page):
        compile(block, str(page), 'exec')


@pytest.mark.parametrize('kind', REGISTRIES)
def test_every_component_of_the_package_is_listed(kind: str) -> None:
    listed = (ROOT / 'docs' / 'reference' / 'components.md').read_text(encoding='utf-8')
    modules = REGISTRIES[kind].module_dict  # those of plugins that other tests imported are no business of the page
    own = {name for name in list_components(kind) if modules[name].__module__.startswith('medctx3d.')}
    section = re.search(rf'^## {kind}\n(.*?)(?=^## |\Z)', listed, re.MULTILINE | re.DOTALL)
    rows = re.findall(r'^\| `(\w+)` \|', section[1], re.MULTILINE) if section else []
    assert rows == sorted(own), 'renew it: python tools/list_components.py --write docs/reference/components.md'


@pytest.mark.parametrize('tool', TOOLS, ids=page_id)
def test_every_tool_is_listed_with_its_options(tool: Path) -> None:
    listed = (ROOT / 'docs' / 'reference' / 'tools.md').read_text(encoding='utf-8')
    assert f'`{page_id(tool)}`' in listed
    source = tool.read_text(encoding='utf-8') if tool.suffix == '.py' else ''
    calls = re.findall(r"add_argument\(\s*'(--[a-z-]+)'[^\n]*", source)
    hidden = re.findall(r"add_argument\('(--[a-z-]+)'[^\n]*SUPPRESS", source)
    assert [option for option in calls if option not in hidden and f'`{option}' not in listed] == []


def test_tests_that_a_page_names_exist() -> None:
    shown = (ROOT / 'docs' / 'reference' / 'bad_input.md').read_text(encoding='utf-8')
    named = set(re.findall(r'`(test_\w+)`', shown))
    tests = '\n'.join(path.read_text(encoding='utf-8') for path in (ROOT / 'tests').rglob('test_*.py'))
    assert named
    assert {name for name in named if f'def {name}(' not in tests} == set()


def test_the_plugin_of_the_tutorial_takes_a_step(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for block in code(ROOT / 'docs' / 'tutorials' / 'add_a_component.md'):
        title = re.match(r'# (\w+\.py)\n', block)
        assert title, f'the block does not say which file it is: {block[:60]!r}'
        files[title[1]] = block
    assert len(files) == 4
    for name, block in files.items():
        (tmp_path / name).write_text(block, encoding='utf-8')
    env = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(tmp_path), str(ROOT)]),
        'MEDCTX3D_CONFIGS': str(ROOT / 'configs'),
        'OMP_NUM_THREADS': '1',
    }
    result = subprocess.run(
        [sys.executable, 'one_step.py'], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=180
    )
    assert result.returncode == 0, result.stderr
    assert 'medcontext.loss_consistency' in result.stdout
