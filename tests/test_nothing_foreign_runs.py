"""Read from the source: one way to load weights, one to read a config, and no other that could run foreign code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for part in ('medctx3d', 'tools', 'projects', 'configs') for path in (ROOT / part).rglob('*.py'))

MODULES = {  # whatever unpickles, extracts, downloads, or runs text
    'unpickle': 'pickle _pickle dill cloudpickle joblib shelve marshal yaml ruamel torch.package mmengine.fileio',
    'extract': 'zipfile tarfile',
    'download': 'urllib requests httpx http.client socket ftplib torch.hub torch.utils.model_zoo mmengine.hub',
    'run': 'runpy code codeop ctypes importlib monai.bundle monai.apps',
}
FOREIGN = [name for names in MODULES.values() for name in names.split()]
CALLS = re.compile(
    r'eval|exec|compile|__import__|os\.(system|popen|exec\w+|spawn\w+)|shutil\.unpack_archive|.*\.extract(all)?|'
    r'(np|numpy)\.(load|fromregex)|torch\.(load|jit\.load|export\.load|hub\..*)|onnx\.load|mmengine\.load|load_state_dict_from_url|'
    r'(.*\.)?import_module|Config\.(fromfile|fromstring)|(.*\.)?(set_defaults_)?safe_globals|.*add_safe_globals|'
    r'subprocess\.(run|Popen|call|check_call|check_output)|Popen'
)
ALLOWED = {  # file, what -> why that is no way in
    ('medctx3d/engine/checkpoint.py', 'import pickle'): 'the error class that the restricted unpickler raises',
    ('medctx3d/engine/checkpoint.py', 'torch.load'): 'weights_only=True: the one place where a .pth is opened',
    (
        'medctx3d/utils/checkpoint_archive.py',
        'import zipfile',
    ): 'checksums of a .pth are compared, nothing extracted',
    ('medctx3d/engine/launch.py', 'Config.fromfile'): 'the one place where a config runs, without --safe',
    ('medctx3d/diagnosis/trial.py', 'Config.fromfile'): 'JSON that the doctor itself wrote for its trial process',
    ('medctx3d/diagnosis/forecast.py', 'subprocess.run'): 'this Python with a module of the package, no shell',
    ('tools/benchmark/forecast.py', 'subprocess.Popen'): 'this Python with tools/doctor.py or train.py, no shell',
    ('tools/benchmark/forecast.py', 'subprocess.run'): 'likewise',
    ('medctx3d/studies/job.py', 'Config.fromfile'): 'the config that the study itself wrote into its work dir',
    ('medctx3d/datasets/prepared_volume.py', 'np.load'): 'arrays that the store wrote; numpy refuses pickles there',
    ('medctx3d/utils/component_lookup.py', 'import importlib'): 'for the call',
    (
        'medctx3d/utils/component_lookup.py',
        'importlib.import_module',
    ): 'explains a dotted name that mmengine failed on',
    ('medctx3d/utils/setup_env.py', 'import importlib'): 'for the call',
    ('medctx3d/utils/setup_env.py', 'import importlib.util'): 'asks whether torchvision is there',
    ('medctx3d/utils/setup_env.py', 'importlib.import_module'): 'torchvision, by a literal',
    ('medctx3d/evaluation/metrics/surfaces.py', 'import importlib'): 'for the call',
    ('medctx3d/evaluation/metrics/surfaces.py', 'importlib.import_module'): 'surface_distance, by a literal',
    ('medctx3d/export/graph_formats.py', 'import importlib'): 'for the call',
    ('medctx3d/export/graph_formats.py', 'importlib.import_module'): 'onnx and onnxruntime, by literals of the module',
    ('medctx3d/export/graph_formats.py', 'onnx.load'): 'the graph that was just written, to compare it',
    ('medctx3d/export/graph_formats.py', 'torch.jit.load'): 'likewise',
    ('medctx3d/export/graph_formats.py', 'torch.export.load'): 'likewise',
    ('medctx3d/engine/heartbeats.py', 'import socket'): 'the name of this machine, in messages',
    ('medctx3d/apis/start_checkpoint.py', 'import socket'): 'likewise',
    ('tools/dataset/superpixels.py', 'import importlib.util'): 'asks whether a package is there',
    ('medctx3d/datasets/preparation.py', 'import socket'): 'the name of this machine, in names of temporary folders',
    ('tools/list_components.py', 'import importlib'): 'for the call',
    ('tools/list_components.py', 'importlib.import_module'): '--import, a module that the user names',
    ('tools/benchmark/step.py', 'subprocess.Popen'): 'itself, by a list of arguments',
    ('tools/benchmark/inference.py', 'subprocess.run'): 'itself, by a list of arguments',
    ('tools/demo.py', 'subprocess.run'): 'the tools, by a list of arguments',
    ('tools/train.py', 'subprocess.run'): 'scontrol, by a list of arguments',
    ('medctx3d/studies/schedule.py', 'Popen'): 'jobs of the study, by a list of arguments',
}
HARMLESS = {'importlib.metadata', 'importlib.resources', 'urllib.parse'}
SWITCHES = re.compile(r'trust|unsafe|allow_pickle|weights_only|insecure|no_check')
"""Names by which a caller, a config or a command line could ask for less."""


def doors(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every import and call of the lists above, as text and node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or '', *(f'{node.module}.{alias.name}' for alias in node.names)]
        elif isinstance(node, ast.Call) and CALLS.fullmatch(name := ast.unparse(node.func)):
            yield name, node
            continue
        else:
            continue
        if not HARMLESS & set(names):
            hits = [name for name in names if any(f'{name}.'.startswith(f'{module}.') for module in FOREIGN)]
            yield from ((f'import {name}', node) for name in hits[:1])


def switches(tree: ast.AST) -> Iterator[str]:
    """Arguments, options and settings by which a check could be turned off; ``weights_only=True`` is none."""
    for node in ast.walk(tree):
        name = ''
        if isinstance(node, ast.arg | ast.keyword):
            name = node.arg or ''
        elif isinstance(node, ast.Constant) and re.fullmatch(r'--[\w-]+', str(node.value)):
            name = str(node.value)
        if SWITCHES.search(name.replace('-', '_')) and ast.unparse(node) != 'weights_only=True':
            yield name


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


def test_there_is_no_way_in_but_those_listed_with_their_reason() -> None:
    found = {(str(path.relative_to(ROOT)), what) for path in FILES for what, _ in doors(parsed(path))}
    assert found == set(ALLOWED)


def test_torch_opens_plain_data_only_and_numpy_no_pickles() -> None:
    for path in FILES:
        for what, node in doors(parsed(path)):
            if not isinstance(node, ast.Call):
                continue
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert what != 'torch.load' or given.get('weights_only') == 'True', path
            assert 'allow_pickle' not in given, path
            assert given.get('shell', 'False') == 'False', path


def test_nothing_switches_a_check_off() -> None:
    found = {(path.name, name) for path in FILES for name in switches(parsed(path))}
    # The headers of a list one makes oneself need not be read twice; the check of what it may name stays.
    assert found == {('make_datalist.py', '--no-check')}


def test_no_environment_variable_switches_a_check_off() -> None:
    names = {
        node.value
        for path in FILES
        if path.parts[-2] != 'configs'
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch('MEDCTX3D_[A-Z_]+', node.value)
    }
    assert names == {'MEDCTX3D_TRACEBACK', 'MEDCTX3D_DATA_FOLDERS'}


@pytest.mark.parametrize(
    ('text', 'what'),
    [
        ('import pickle', 'import pickle'),
        ('from pickle import loads', 'import pickle'),
        ('import torch.hub', 'import torch.hub'),
        ('from torch import hub', 'import torch.hub'),
        ('import yaml', 'import yaml'),
        ('import tarfile', 'import tarfile'),
        ('from importlib import import_module', 'import importlib'),
        ('from monai.bundle import load', 'import monai.bundle'),
        ('import monai.apps.utils', 'import monai.apps.utils'),
        ('import urllib.request', 'import urllib.request'),
        ('eval(x)', 'eval'),
        ('torch.load(x)', 'torch.load'),
        ('np.load(x)', 'np.load'),
        ('torch.jit.load(x)', 'torch.jit.load'),
        ('torch.serialization.add_safe_globals([x])', 'torch.serialization.add_safe_globals'),
        ('os.system(x)', 'os.system'),
        ('archive.extractall()', 'archive.extractall'),
        ('def f():\n    Config.fromfile(x)', 'Config.fromfile'),
    ],
)
def test_a_planted_way_in_is_found(text: str, what: str) -> None:
    assert [name for name, _ in doors(ast.parse(text))] == [what]


@pytest.mark.parametrize('text', ['model.eval()', 're.compile(x)', 'from importlib import metadata', 'import codecs'])
def test_what_only_looks_alike_is_let_pass(text: str) -> None:
    assert list(doors(ast.parse(text))) == []


@pytest.mark.parametrize(
    'text', ['f(weights_only=False)', 'f(weights_only=x)', 'def f(trust_remote=True): ...', "a('--unsafe-load')"]
)
def test_a_planted_switch_is_found(text: str) -> None:
    assert len(list(switches(ast.parse(text)))) == 1
