"""What other packages on a user's machine must not do to a training."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medctx3d.utils import collect_env as report
from medctx3d.utils import setup_env

ROOT = Path(__file__).resolve().parents[1]
BROKEN = "raise RuntimeError('operator torchvision::nms does not exist')\n"
NEEDS_SCHEMA = """
import torch
from torchvision import part
torch.library.register_fake('torchvision::nms')(lambda dets, scores, threshold: dets)
torch.library.register_fake('torchvision::qnms')(lambda dets, scores, threshold: dets)
__version__ = '0.28.0'
"""
REPORT = """
import sys
{guard}
from mmengine.utils.dl_utils import collect_env
print('RESULT', collect_env().get('TorchVision'))
"""
GUARD = 'from medctx3d.utils.setup_env import setup_environment; setup_environment(); setup_environment()'


def environment_report(folder: Path, *, guarded: bool) -> subprocess.CompletedProcess:
    """Ask mmengine for its environment report, as the Runner does when it starts."""
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(folder), str(ROOT)])}
    code = REPORT.format(guard=GUARD if guarded else '')
    return subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, timeout=120)


def fake_torchvision(folder: Path, source: str) -> Path:
    package = folder / 'torchvision'
    package.mkdir()
    (package / '__init__.py').write_text(source, encoding='utf-8')
    (package / 'part.py').write_text('', encoding='utf-8')
    return folder


def pretend(folder: Path, name: str, version: str) -> None:
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n', encoding='utf-8')


def test_mismatched_torchvision_would_stop_mmengine(tmp_path: Path) -> None:
    result = environment_report(fake_torchvision(tmp_path, NEEDS_SCHEMA), guarded=False)
    assert result.returncode != 0
    assert 'torchvision::nms does not exist' in result.stderr


@pytest.mark.parametrize('source', [BROKEN, 'import nowhere_at_all'], ids=['broken', 'incomplete'])
def test_unusable_torchvision_is_hidden_and_said_once(tmp_path: Path, source: str) -> None:
    result = environment_report(fake_torchvision(tmp_path, source), guarded=True)
    assert result.returncode == 0, result.stderr
    assert 'RESULT None' in result.stdout
    assert result.stderr.count('torchvision is hidden') == 1
    assert 'Remedy' in result.stderr


def test_torchvision_without_its_operators_becomes_importable(tmp_path: Path) -> None:
    result = environment_report(fake_torchvision(tmp_path, NEEDS_SCHEMA), guarded=True)
    assert result.returncode == 0, result.stderr
    assert 'RESULT 0.28.0' in result.stdout
    assert result.stderr.count('torchvision does not fit this torch') == 1


def test_working_torchvision_is_left_alone_and_not_mentioned(tmp_path: Path) -> None:
    result = environment_report(fake_torchvision(tmp_path, "__version__ = '0.28.0'"), guarded=True)
    assert result.returncode == 0, result.stderr
    assert 'RESULT 0.28.0' in result.stdout
    assert 'torchvision' not in result.stderr


def test_absent_torchvision_is_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    monkeypatch.setattr(setup_env.importlib.util, 'find_spec', lambda name: None)
    assert setup_env.guard_torchvision() is False
    assert 'torchvision' not in sys.modules


@pytest.mark.parametrize(
    ('twin', 'keep'),
    [('opencv-python', 'opencv-python-headless'), ('mmengine', 'mmengine-lite'), ('mmcv', 'mmcv-lite')],
)
def test_twin_distributions_are_named_with_the_commands_that_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, twin: str, keep: str
) -> None:
    pretend(tmp_path, twin, '4.12.0')
    pretend(tmp_path, keep, '4.13.0')
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = [line for line in report.twin_problems() if keep in line]
    assert f'uninstall -y {keep} {twin}' in problem
    assert problem.endswith(keep)
    assert report.main(['--check']) == 1
    assert problem in capsys.readouterr().err


def test_twin_warning_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(tmp_path, 'opencv-python', '4.12.0')
    pretend(tmp_path, 'opencv-python-headless', '4.13.0')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(setup_env, '_logged', set())
    with caplog.at_level(logging.WARNING, logger='medctx3d'):
        setup_env.setup_environment()
        setup_env.setup_environment()
    assert sum('install cv2 over each other' in message for message in caplog.messages) == 1


def test_report_names_every_package_and_passes_when_nothing_collides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(report, 'twin_problems', list)
    assert report.main(['--check']) == 0
    out = capsys.readouterr().out
    for name in ('medctx3d', 'python', 'torch', 'cv2', 'mmengine', 'mmcv', 'timm'):
        assert f'\n{name} ' in f'\n{out}'


def test_opencv_keeps_to_one_thread() -> None:
    cv2 = pytest.importorskip('cv2')
    cv2.setNumThreads(2)
    setup_env.setup_environment()
    assert cv2.getNumThreads() == 1
