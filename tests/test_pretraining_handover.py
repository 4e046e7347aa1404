"""What each pretraining leaves on disk goes into the network that is fine-tuned from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from medctx3d.engine.launch import load_config
from medctx3d.engine.weights import load_pretrained, read_source
from medctx3d.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
ENCODERS = sorted(path for folder in ('voco', 'pretraining') for path in (ROOT / 'configs' / folder).glob('unet_*.py'))
WHOLE = sorted((ROOT / 'configs' / 'volume_fusion').glob('finetune_*_hippocampus.py'))


def leave_checkpoint(config: Path, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A checkpoint of a pretraining config, as its run would write it."""
    merged = load_config(config)
    state = MODELS.build(merged.model).state_dict()
    torch.save(dict(state_dict=state, meta=dict(cfg=merged.pretty_text)), tmp_path / 'iter_9.pth')
    return tmp_path / 'iter_9.pth', state


@pytest.mark.parametrize('config', ENCODERS, ids=lambda path: path.stem)
def test_a_pretrained_encoder_fills_the_backbone(config: Path, tmp_path: Path) -> None:
    file, state = leave_checkpoint(config, tmp_path)
    both = any(name.startswith('teacher.module.backbone.') for name in state)
    fine = MODELS.build(load_config(ROOT / 'configs' / 'unet' / 'unet_hippocampus.py').model)
    report = load_pretrained(fine, file, part='encoder', weights_of='student' if both else None)
    assert report.coverage() == 1
    for name, value in fine.network.backbone.state_dict().items():
        assert torch.equal(value, state[f'network.backbone.{name}']), name
    assert read_source(file, weights_of='student' if both else None).facts['config']['model']['type']


@pytest.mark.parametrize('config', WHOLE, ids=lambda path: path.stem)
def test_fine_tuning_from_volume_fusion_takes_all_but_the_levels(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, state = leave_checkpoint(config.with_name(config.name.removeprefix('finetune_')), tmp_path)
    monkeypatch.setenv('PRETRAINED', str(file))
    fine = MODELS.build(load_config(config).model)
    fine.init_weights()
    anew = {
        name for name, value in fine.state_dict().items() if not torch.equal(value, state.get(name, torch.zeros(0)))
    }
    assert anew
    assert all('.out' in name for name in anew)
