"""The example plugin, copied out of the repository and run from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STEP = """
import torch
from medctx3d.engine import load_config
from medctx3d.registry import MODELS, list_components
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils.config_check import check_config

torch.manual_seed(0)
cfg = load_config('tiny_btcv.py')
check_config(cfg)
print('listed', {'TinyEncoder', 'UNetEncoder'} <= set(list_components('backbones')))
model = MODELS.build(cfg.model)
model.prime_teacher()
sample = VolumeDataSample(gt_sem_seg=VolumeData(data=torch.randint(0, 14, (1, 32, 32, 32))))
losses = model.loss(torch.randn(1, 1, 32, 32, 32), [sample])
sum(value for name, value in losses.items() if 'loss' in name).backward()
model.update_teacher(0.9)
backbone = model.network.backbone
print('built', type(backbone).__name__, 'of', type(backbone).__module__)
print(*sorted(losses))
print('trained', all(parameter.grad.abs().sum() > 0 for parameter in backbone.stem.parameters()))
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / 'projects' / 'example_plugin', tmp_path / 'somewhere_else'))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    env = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(folder), str(ROOT)]),
        'MEDCTX3D_CONFIGS': str(ROOT / 'configs'),
        'OMP_NUM_THREADS': '1',
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=180
    )


def test_plugin_is_under_twenty_lines(plugin: Path) -> None:
    assert len((plugin / 'tiny_encoder.py').read_text(encoding='utf-8').splitlines()) < 20


def test_plugin_trains_with_medcontext_from_outside(plugin: Path) -> None:
    result = run(plugin, '-c', STEP)
    assert result.returncode == 0, result.stderr
    assert 'listed True' in result.stdout
    assert 'built TinyEncoder of tiny_encoder' in result.stdout
    assert 'medcontext.loss_consistency' in result.stdout
    assert 'trained True' in result.stdout


def test_forgotten_import_answers_with_the_recipe(plugin: Path) -> None:
    config = plugin / 'tiny_btcv.py'
    text = config.read_text(encoding='utf-8')
    line = "custom_imports = dict(imports=['tiny_encoder'])\n"
    assert line in text
    config.write_text(text.replace(line, ''), encoding='utf-8')
    result = run(plugin, str(ROOT / 'tools' / 'print_config.py'), 'tiny_btcv.py', '--check')
    assert result.returncode == 1
    assert "'TinyEncoder' is not in the medctx3d::backbone registry" in result.stderr
    assert 'custom_imports' in result.stderr
