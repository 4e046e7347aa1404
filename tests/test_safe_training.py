"""Training from a config that is read as data, through the tools."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import conftest
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
_base_ = ['{root}/configs/medcontext/unet_phantom.py']
d = dict(
    data_root='{data}',
    store=None,
    metainfo=dict(_delete_=True, classes=('background', 'near', 'far'), label_map={{2: 2, 1: 1, 0: 0}}),
    load_pipeline=[dict(type='LoadVolume'), dict(type='monai.transforms.NormalizeIntensityd', keys=['image'])],
)
crop = [dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='PackVolume')]
train_dataloader = dict(dataset=dict(pipeline=crop, **d))
val_dataloader = dict(dataset=d)
test_dataloader = dict(dataset=d)
model = dict(
    network=dict(backbone=dict(channels=(4, 8), strides=(1, 2)), decode_head=dict(num_classes=3)),
    inferer=dict(roi_size=(16, 16, 16)),
    auxiliary=dict(medcontext=dict(patch_size=(4, 4, 4))),
)
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2, max_keep_ckpts=1))
"""


def call(tool: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / 'iter_2.pth', weights_only=True)['state_dict']


def test_training_from_an_exported_json_ends_with_the_weights_of_the_config(tmp_path, monkeypatch, capsys):
    (tmp_path / 'data').mkdir()
    data = conftest.nifti_dataset.__wrapped__(tmp_path / 'data')
    config, exported = tmp_path / 'tiny.py', tmp_path / 'tiny.json'
    config.write_text(CONFIG.format(root=ROOT, data=data), encoding='utf-8')
    assert call('print_config', config, '--check', '--json', exported, monkeypatch=monkeypatch) == 0
    assert call('print_config', '--safe', '--check', exported, monkeypatch=monkeypatch) == 0
    assert call('train', config, '--work-dir', tmp_path / 'run', monkeypatch=monkeypatch) == 0
    assert call('train', '--safe', exported, '--work-dir', tmp_path / 'safe', monkeypatch=monkeypatch) == 0
    expected, found = weights(tmp_path / 'run'), weights(tmp_path / 'safe')
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[key]) for key, value in expected.items())

    foreign = json.loads(exported.read_text(encoding='utf-8'))
    foreign['custom_hooks'].append({'type': 'subprocess.Popen', 'args': ['touch', str(tmp_path / 'trace')]})
    exported.write_text(json.dumps(foreign), encoding='utf-8')
    before = set(tmp_path.rglob('*'))
    capsys.readouterr()
    for tool, more in (
        ('train', ('--work-dir', tmp_path / 'none')),
        ('test', (tmp_path / 'safe' / 'iter_2.pth', '--work-dir', tmp_path / 'none')),
        ('infer', (tmp_path / 'safe' / 'iter_2.pth', data / 'image0.nii.gz', '--out', tmp_path / 'none')),
    ):
        assert call(tool, exported, *more, '--safe', monkeypatch=monkeypatch) == 1
        assert "type='subprocess.Popen' is not among" in capsys.readouterr().err
    assert set(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('tool', ['train', 'test', 'infer'])
def test_all_problems_of_a_config_come_before_anything_is_built_or_written(tool, tmp_path, monkeypatch, capsys):
    config = tmp_path / 'wrong.py'
    config.write_text(
        f"_base_ = ['{ROOT}/configs/medcontext/unet_phantom.py']\n"
        "n = dict(backbone=dict(channel=(4, 8), in_channels='1'), decode_head=dict(type='UNetDecodr'))\n"
        'model = dict(network=n)\n'
        "randomness = dict(seed='x')\n",
        encoding='utf-8',
    )
    more = {'train': [], 'test': ['none.pth'], 'infer': ['none.pth', 'none.nii.gz', '--out', tmp_path / 'out']}[tool]
    monkeypatch.chdir(tmp_path)
    assert call(tool, config, *more, monkeypatch=monkeypatch) == 1
    told = capsys.readouterr().err
    for words in (
        '4 problems',
        "Did you mean 'channels'",
        "wants int, got '1'",
        'Closest names: UNetDecoder',
        "'x' (str)",
    ):
        assert words in told
    assert [path.name for path in tmp_path.iterdir()] == ['wrong.py']
