"""Every pretraining config has its fine-tuning config, and the one loads what the other leaves."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from medctx3d.engine import load_config
from medctx3d.registry import MODELS

ROOT = Path(__file__).parent.parent
TUNED = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').glob('*/finetune_*.py'))
METHODS = sorted({Path(name).parent for name in TUNED})
MARK = 7.0


@pytest.fixture(autouse=True)
def _no_other_file(monkeypatch):
    monkeypatch.delenv('PRETRAINED', raising=False)


def pretraining_of(name: str) -> Path:
    path = ROOT / name
    return path.with_name(path.name.removeprefix('finetune_'))


def init_cfgs(node: Any) -> Iterator[dict]:
    """Every ``init_cfg`` of a model's config that names a checkpoint."""
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from init_cfgs(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == 'init_cfg':
                yield from (one for one in (value if isinstance(value, list) else [value]) if 'checkpoint' in one)
            else:
                yield from init_cfgs(value)


def write_marked(config: Config, path: Path) -> dict[str, torch.Tensor]:
    """Save a checkpoint of a config whose weights are all ``MARK``, in a few bytes, and return the weights."""
    model = MODELS.build(config.model)
    marked = {
        name: torch.full((), MARK).to(value.dtype).expand(value.shape) if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    torch.save(dict(state_dict=marked, meta=dict(cfg=config.pretty_text)), path)  # as a Runner does
    return marked


@pytest.mark.parametrize('folder', METHODS, ids=str)
def test_every_pretraining_of_a_method_has_its_fine_tuning(folder):
    names = {path.name for path in (ROOT / folder).glob('*.py')}
    first = {name for name in names if not name.startswith('finetune_')}
    assert names - first == {f'finetune_{name}' for name in first}


@pytest.mark.parametrize('name', TUNED)
def test_fine_tuning_takes_the_whole_backbone_and_all_else_that_is_not_named(name, tmp_path):
    pretraining, tuning = load_config(pretraining_of(name)), load_config(ROOT / name)
    file = write_marked(pretraining, tmp_path / 'pretrained.pth')
    starts = list(init_cfgs(tuning.model))
    assert len(starts) == 1
    starts[0]['checkpoint'] = str(tmp_path / 'pretrained.pth')
    network = MODELS.build(tuning.model.network)
    network.init_weights()
    fresh = {key for key, weight in network.named_parameters() if not bool((weight == MARK).all())}
    left_out = {key for key in fresh for pattern in starts[0].get('leave_out', ()) if fnmatchcase(key, pattern)}
    assert [key for key in fresh - left_out if key.startswith('backbone.')] == []
    asked = 'backbone.' if starts[0].get('part', 'encoder') == 'encoder' else ''  # what the config says it takes
    fits = {
        key
        for key in fresh - {key for key in left_out if key.startswith('backbone.')}
        if key.startswith(asked)
        and getattr(file.get(f'network.{key}'), 'shape', None) == network.get_parameter(key).shape
    }
    assert fits == set()  # what the file has in this shape was not passed over
    assert len(fresh) < len(list(network.parameters()))


@pytest.mark.parametrize('name', TUNED)
def test_the_checkpoint_is_the_last_one_of_the_pretraining(name):
    pretraining, tuning = load_config(pretraining_of(name)), load_config(ROOT / name)
    (start,) = init_cfgs(tuning.model)
    method, stem = pretraining_of(name).parent.name, pretraining_of(name).stem
    assert start['checkpoint'] == f'work_dirs/{method}/{stem}/iter_{pretraining.train_cfg.max_iters}.pth'


@pytest.mark.parametrize('name', TUNED)
def test_pretraining_scores_no_image_that_it_is_tested_on_later(name):
    pretraining, tuning = load_config(pretraining_of(name)), load_config(ROOT / name)
    loaders = [pretraining[key] for key in ('train_dataloader', 'val_dataloader') if pretraining.get(key)]
    seen = {loader.dataset.get('split', 'training') for loader in loaders}
    assert tuning.test_dataloader.dataset.split not in seen
