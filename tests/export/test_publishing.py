"""Published models: what predicts, nothing else, and bit for bit what was trained."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from helpers_export import make_config, run_tool, save_run, save_scan
from mmengine import load
from mmengine.config import Config

from medctx3d.apis import init_model
from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file
from medctx3d.utils.weights_file import file_digest, read_metadata, read_weights, weights_digest, write_weights


def publish(root, *options, name='run', **run):
    config, checkpoint = save_run(root, **run)
    run_tool('publish_model.py', config, checkpoint, '--out', root / 'published', *options)
    (weights,) = (root / 'published').glob('*.safetensors')
    return config, checkpoint, root / 'published' / f'{name}.py', weights


def logits(config, checkpoint, *, predict_with='student'):
    options = {'model.test_cfg': dict(predict_with=predict_with)}
    model = init_model(config, checkpoint, device='cpu', cfg_options=options)
    network = model.network if predict_with == 'student' else model.teacher
    with torch.no_grad():
        return network(torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))).logits[0]


@pytest.mark.parametrize('predict_with', ['student', 'teacher'])
def test_the_published_pair_answers_bit_for_bit_and_holds_nothing_of_the_training(tmp_path, predict_with):
    config, checkpoint, published, weights = publish(tmp_path, '--predict-with', predict_with, medcontext=True)
    assert torch.equal(logits(published, weights), logits(config, checkpoint, predict_with=predict_with))
    assert not torch.equal(logits(config, checkpoint), logits(config, checkpoint, predict_with='teacher'))
    assert all(name.startswith('network.') for name in read_weights(weights))
    text = published.read_text(encoding='utf-8')
    assert str(tmp_path) not in text
    assert not {'teacher', 'auxiliary', 'data_root', 'store'} & set(Config.fromfile(published).model)
    assert 'PreparedStore' not in text


def test_the_config_says_who_predicts_unless_the_command_line_does(tmp_path):
    config, checkpoint, published, weights = publish(
        tmp_path, medcontext=True, test_cfg=dict(predict_with='teacher', keep_logits=True)
    )
    assert torch.equal(logits(published, weights), logits(config, checkpoint, predict_with='teacher'))
    assert Config.fromfile(published).model.test_cfg == dict(keep_logits=True)
    assert read_metadata(weights)['predict_with'] == 'teacher'


def test_infer_takes_the_pair_and_writes_what_the_run_would(tmp_path):
    config, checkpoint, published, weights = publish(tmp_path)
    scan = save_scan(tmp_path / 'scans' / 'one.nii.gz')
    run_tool('infer.py', config, checkpoint, scan, '--out', tmp_path / 'a', '--device', 'cpu')
    run_tool('infer.py', published, weights, scan, '--out', tmp_path / 'b', '--device', 'cpu')
    first, second = (np.asarray(nib.load(tmp_path / folder / 'one.nii.gz').dataobj) for folder in 'ab')
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first)) > 1


def test_names_header_and_metafile_state_the_content(tmp_path):
    results = dict(mean=dict(dice=0.8), classes=dict(near=dict(dice=0.8)), cases=[dict(case='a')], rules=dict(x='y'))
    (tmp_path / 'results.json').write_text(json.dumps(results))
    options = ('--name', 'tiny-1', '--licence', 'CC0-1.0', '--results', tmp_path / 'results.json')
    *_, weights = publish(tmp_path, *options, name='tiny-1')
    digest = file_digest(weights)
    assert weights.name == f'tiny-1-{digest[:8]}.safetensors'
    (model,) = load(tmp_path / 'published' / 'metafile.yml')['Models']
    assert (model['Config'], model['Weights'], model['SHA-256']) == ('tiny-1.py', weights.name, digest)
    assert model['License'] == 'CC0-1.0'
    assert model['Metadata']['Classes'] == ['background', 'near', 'far']
    assert model['Metadata']['Spacing (mm)'] == [1, 1, 2]
    (result,) = model['Results']
    assert result['Metrics'] == dict(dice=0.8, cases=1)
    assert (result['classes'], result['rules']) == (results['classes'], results['rules'])
    header = read_metadata(weights)
    assert json.loads(header['window']) == [16, 16, 16]
    assert json.loads(header['intensity'])[0]['a_min'] == -175
    network = {name.removeprefix('network.'): value for name, value in read_weights(weights).items()}
    assert header['weights_sha256'] == weights_digest(network) == model['Metadata']['Weights SHA-256']


def test_weights_that_were_changed_or_cut_are_refused_by_name(tmp_path):
    *_, weights = publish(tmp_path)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf'{weights.name} is refused: its name states .* begins with'):
        load_checkpoint_file(weights)
    (tmp_path / 'cut.safetensors').write_bytes(content[:1000])
    with pytest.raises(CheckpointError, match=r'cut\.safetensors is refused: it cannot be read .*1000 bytes'):
        load_checkpoint_file(tmp_path / 'cut.safetensors')


def test_a_digest_sees_names_values_and_types():
    weights = dict(a=torch.arange(3.0), b=torch.tensor(1))
    others = [dict(weights, a=torch.arange(3.0) + 1e-7), dict(weights, b=torch.tensor(1.0)), dict(c=weights['b'])]
    digests = {weights_digest(given) for given in (weights, *others)}
    assert len(digests) == 4
    assert weights_digest(dict(reversed(weights.items()))) == weights_digest(weights)


def test_tensors_that_share_memory_are_written_apart(tmp_path):
    shared = torch.arange(6.0)
    path, _ = write_weights(tmp_path, 'x', dict(a=shared, b=shared.view(2, 3).T), {})
    read = read_weights(path)
    assert torch.equal(read['b'], shared.view(2, 3).T)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_teacher_that_is_not_there_cannot_be_published(tmp_path):
    with pytest.raises(ValueError, match=r'has no teacher that ever received weights.*--predict-with student'):
        publish(tmp_path, '--predict-with', 'teacher')


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    _, checkpoint = save_run(tmp_path)
    config = make_config(tmp_path)
    config.model.network.backbone.channels = (4, 12)
    config.dump(tmp_path / 'other.py')
    with pytest.raises(CheckpointError, match='of another shape'):
        run_tool('publish_model.py', tmp_path / 'other.py', checkpoint, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_folder_that_holds_a_model_and_a_name_that_is_none_are_refused(tmp_path):
    config, checkpoint, *_ = publish(tmp_path)
    with pytest.raises(FileExistsError, match='a folder of its own'):
        run_tool('publish_model.py', config, checkpoint, '--out', tmp_path / 'published')
    with pytest.raises(ValueError, match=r"--name must consist of .* got '\.\./x'"):
        run_tool('publish_model.py', config, checkpoint, '--out', tmp_path / 'new', '--name', '../x')
