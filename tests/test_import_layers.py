"""Who may import whom: the layers of docs/explanation/decisions.md, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'medctx3d'
LAYERS = {
    'registry': 0,
    'version': 0,
    'typing': 0,
    'structures': 1,
    'utils': 1,
    'datasets': 2,
    'models': 2,
    'evaluation': 2,
    'inference': 2,
    'postprocessing': 2,
    'visualization': 2,
    'engine': 3,
    'diagnosis': 4,
    'apis': 5,
    'export': 5,
    'reporting': 5,
    'studies': 6,
}
MODEL_LAYERS = {  # inside models
    'blocks': 0,
    'masking': 0,
    'losses': 0,
    'heads': 1,
    'backbones': 1,
    'teachers': 1,
    'preprocessors': 1,
    'selfsup': 3,
    'views': 0,
    'networks': 2,
    'segmentors': 3,
}
EXTRAS = {'mmcv', 'numba', 'timm', 'tensorboard', 'torchvision'}  # may be absent: only inside functions
FILES = sorted(path for path in PACKAGE.rglob('*.py') if path != PACKAGE / '__init__.py')


def imported(tree: ast.AST, module: str) -> Iterator[str]:
    """Absolute dotted names of everything that a tree imports, names taken from packages included."""
    package = module.split('.')[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = '.'.join([*base, *([node.module] if node.module else [])])
            yield from (f'{stem}.{alias.name}' for alias in node.names)


def forbidden(source: str, module: str) -> list[str]:
    """The imports of a module's source that break a layer; ``module`` is dotted, ``medctx3d.models.heads.x``."""
    parts = module.split('.')
    problems = []
    for name in imported(ast.parse(source), module):
        target = name.split('.')
        if target[0] != 'medctx3d' or len(target) < 2 or target[1] == '__version__':
            continue
        own, other = parts[1], target[1]
        if own == other:
            if own == 'models' and len(parts) > 3 and len(target) > 2 and target[2] in MODEL_LAYERS:
                mine, theirs = MODEL_LAYERS[parts[2]], MODEL_LAYERS[target[2]]
                if parts[2] != target[2] and theirs >= mine:
                    problems.append(name)
            continue
        allowed = 1 if LAYERS[own] in (2, 3) else LAYERS[own] - 1
        if LAYERS[other] > allowed:
            problems.append(name)
    return problems


def dotted(path: Path) -> str:
    return '.'.join(('medctx3d', *path.relative_to(PACKAGE).with_suffix('').parts))


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {path.stem for path in PACKAGE.glob('*.py')} | {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
    assert parts - {'__init__'} <= set(LAYERS)
    assert {path.parent.name for path in PACKAGE.glob('models/*/__init__.py')} <= set(MODEL_LAYERS)


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_from_below(path: Path) -> None:
    assert forbidden(path.read_text(encoding='utf-8'), dotted(path)) == []


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_no_extra_when_it_is_imported(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lazy = {id(node) for function in functions for node in ast.walk(function)}
    eager = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in lazy]
    names = {name.split('.')[0] for node in eager for name in imported(node, dotted(path))}
    assert not names & EXTRAS


@pytest.mark.parametrize(
    ('module', 'line'),
    [
        ('medctx3d.registry', 'from medctx3d.utils import setup_env'),
        ('medctx3d.utils.x', 'import medctx3d.datasets'),
        ('medctx3d.datasets.x', 'from medctx3d.models.losses import SegCriterion'),
        ('medctx3d.datasets.x', 'from ..models import losses'),
        ('medctx3d.engine.hooks.x', 'def f():\n    from medctx3d.models.teachers import EMATeacher'),
        ('medctx3d.models.losses.x', 'from medctx3d.models.heads import MedContextHead'),
        ('medctx3d.models.networks.x', 'from medctx3d.models.segmentors import VolumeSegmentor'),
        ('medctx3d.evaluation.metrics.x', 'from medctx3d import apis'),
    ],
)
def test_a_planted_violation_is_found(module: str, line: str) -> None:
    assert len(forbidden(line, module)) == 1


@pytest.mark.parametrize(
    ('module', 'line'),
    [
        ('medctx3d.models.heads.x', 'from medctx3d.models.masking import TubeMask'),
        ('medctx3d.engine.hooks.x', 'from medctx3d.typing import HasTeacher'),
        ('medctx3d.apis.x', 'from medctx3d.engine.checkpoint import load'),
        ('medctx3d.datasets.x', 'from .transforms import PackVolume'),
    ],
)
def test_an_import_from_below_is_allowed(module: str, line: str) -> None:
    assert forbidden(line, module) == []
