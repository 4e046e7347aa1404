"""What a pretraining's monitors say, and that watching changes nothing."""

import json

import pytest
import torch
from helpers_engine import run_config, train
from tiny_pretraining import METHODS

from medctx3d.engine.hooks import CollapseMonitorHook, ProbeHook, TrivialFloorHook
from medctx3d.models.preprocessors import VolumeFusionPreprocessor
from medctx3d.models.selfsup import SelfSupervisor
from medctx3d.registry import MODELS


@MODELS.register_module()
class Collapsing(SelfSupervisor):
    """Pulls all features to one vector, which is what collapse is."""

    def loss(self, inputs, data_samples):
        features = self.network.backbone(inputs)[-1]
        return {'loss_spread': 100 * features.square().mean(), 'rest': torch.ones(())}

    def embeddings(self, inputs):
        return self.network(inputs).pooled + 1.0


def pretraining(root, work_dir, model, *, hooks=(), iterations=6, **changes):
    """A pretraining on the images of the data set."""
    config = run_config(root, work_dir, iterations=iterations, medcontext=False, log_level='INFO', **changes)
    config.model = model
    config.train_dataloader.dataset.update(read_labels=False)
    if model.get('teacher'):
        hooks = [dict(type='EMATeacherHook', decay=0.9), *hooks]
    config.custom_hooks = list(hooks)
    for stage in ('val', 'test'):
        for key in ('dataloader', 'evaluator', 'cfg'):
            config[f'{stage}_{key}'] = None
    return config


def probe(config, **options):
    dataset = dict(config.train_dataloader.dataset, read_labels=True)
    return dict(type='ProbeHook', dataset=dataset, per_class=20, neighbours=5, **options)


def told(work_dir):
    """Records of the log, and its text."""
    records = [json.loads(line) for path in work_dir.rglob('scalars.json') for line in path.read_text().splitlines()]
    return records, ''.join(path.read_text(encoding='utf-8') for path in work_dir.rglob('*.log'))


@pytest.mark.parametrize('name', ['moco', 'masked_autoencoder'])
def test_the_watched_run_ends_with_the_weights_and_queue_of_the_unwatched_one(name, nifti_dataset, tmp_path):
    plain = train(pretraining(nifti_dataset, tmp_path / 'plain', METHODS[name])).model.state_dict()
    config = pretraining(nifti_dataset, tmp_path / 'watched', METHODS[name])
    config.custom_hooks += [dict(type='CollapseMonitorHook', interval=1), probe(config, interval=2)]
    watched = train(config).model.state_dict()
    assert all(torch.equal(plain[key], watched[key]) for key in plain)
    last = [record for record in told(tmp_path / 'watched')[0] if 'loss' in record][-1]
    assert last['embedding/effective_rank'] >= 1
    assert last['probe/chance'] == pytest.approx(1 / 3)
    assert 0 <= last['probe/linear'] <= 1


def test_volume_fusion_is_probed_on_volumes_as_they_are(nifti_dataset, tmp_path, monkeypatch):
    config = run_config(nifti_dataset, tmp_path / 'fused', iterations=2, medcontext=False)
    config.model.data_preprocessor = dict(type='VolumeFusionPreprocessor', num_levels=2)
    config.custom_hooks = [probe(config, interval=100)]
    for key in ('dataloader', 'evaluator', 'cfg'):
        config[f'val_{key}'] = None
    asked = []
    stack = VolumeFusionPreprocessor.stack

    def noting(self, data):
        answer = stack(self, data)
        asked.append((data['inputs'], answer['inputs']))
        return answer

    monkeypatch.setattr(VolumeFusionPreprocessor, 'stack', noting)
    runner = train(config)
    looked = asked[:4]  # four volumes one by one, before the first batch
    assert [len(shown) for _, shown in looked] == [1, 1, 1, 1]
    for (given,), (shown,) in looked:
        assert torch.equal(given.float(), shown)
    assert 0 <= runner.message_hub.get_scalar('train/probe/linear').current() <= 1


def test_the_probe_looks_before_the_first_step_and_not_again_on_resume(nifti_dataset, tmp_path):
    config = pretraining(nifti_dataset, tmp_path / 'run', METHODS['simclr'], iterations=3)
    config.custom_hooks.append(probe(config, interval=100))
    train(config)
    assert told(tmp_path / 'run')[1].count('iteration 0: probe of frozen features') == 1
    config.train_cfg.max_iters, config.resume = 4, True
    train(config)
    assert told(tmp_path / 'run')[1].count('probe of frozen features') == 1


def test_a_probe_of_volumes_without_labels_is_refused_before_training(nifti_dataset, tmp_path):
    config = pretraining(nifti_dataset, tmp_path / 'run', METHODS['simclr'])
    config.custom_hooks.append(dict(probe(config), dataset=config.train_dataloader.dataset))
    with pytest.raises(ValueError, match='has no label, which a probe needs'):
        train(config)


def test_collapse_is_told_once_when_it_has_happened(nifti_dataset, tmp_path):
    model = dict(type='Collapsing', network=METHODS['simclr']['network'])
    hooks = [dict(type='CollapseMonitorHook', interval=2)]
    train(pretraining(nifti_dataset, tmp_path / 'bad', model, hooks=hooks, iterations=10))
    records, log = told(tmp_path / 'bad')
    assert log.count('the embeddings have collapsed: mean cosine') == 1
    assert records[-1]['embedding/cosine'] > 0.98
    train(pretraining(nifti_dataset, tmp_path / 'good', METHODS['simclr'], hooks=hooks))
    assert 'collapsed' not in told(tmp_path / 'good')[1]


@pytest.mark.parametrize(('floor', 'words'), [(0.5, 'nothing useful has been learnt yet'), (2.0, 'better than')])
def test_a_value_at_its_floor_is_told_once_and_so_is_one_below(floor, words, nifti_dataset, tmp_path, monkeypatch):
    def loss(self, inputs, data_samples):
        rest = self.network.backbone(inputs)[-1].sum() * 0
        return {'loss_rest': rest, 'value': torch.ones(()), 'floor': torch.tensor(floor)}

    monkeypatch.setattr(Collapsing, 'loss', loss)
    model = dict(type='Collapsing', network=METHODS['simclr']['network'])
    hooks = [dict(type='TrivialFloorHook', value='value', floor='floor', interval=2, after=4)]
    train(pretraining(nifti_dataset, tmp_path / 'run', model, hooks=hooks, iterations=10))
    log = told(tmp_path / 'run')[1]
    assert log.count(words) == 1
    assert ('nothing useful' in log) != ('better than' in log)


def test_a_name_that_the_model_does_not_log_is_refused_with_those_it_does(nifti_dataset, tmp_path):
    hooks = [dict(type='TrivialFloorHook', value='prediktion', floor='floor_constant', interval=1)]
    with pytest.raises(KeyError, match=r'logs no prediktion; it logs .*floor_constant.*prediction'):
        train(pretraining(nifti_dataset, tmp_path / 'run', dict(METHODS['voco_v1'], crops=CROPS), hooks=hooks))


CROPS = dict(type='PositionCrops', grid=(2, 2, 2), base_size=(8, 8, 8))


@pytest.mark.parametrize(
    'build',
    [
        lambda: CollapseMonitorHook(0),
        lambda: ProbeHook({}, 0),
        lambda: TrivialFloorHook('a', 'b', interval=0),
        lambda: TrivialFloorHook('a', 'b', margin=1.0),
    ],
)
def test_impossible_clocks_are_refused(build):
    with pytest.raises(ValueError, match='interval must be 1 or more'):
        build()
