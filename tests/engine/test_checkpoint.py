"""Checkpoints of strangers, damaged ones, and ones of another network."""

import os
import pickle

import pytest
import torch
from conftest import tiny_segmentor_config
from mmengine.runner.checkpoint import CheckpointLoader

from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file, load_weights
from medctx3d.engine.weights import load_pretrained
from medctx3d.registry import MODELS


class Bomb:
    """Runs code when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickled_code_is_refused_and_not_run(tmp_path):
    trace = tmp_path / 'executed'
    torch.save({'state_dict': {}, 'payload': Bomb(str(trace))}, tmp_path / 'bomb.pth')
    (tmp_path / 'raw.pth').write_bytes(pickle.dumps(Bomb(str(trace))))
    for name in ('bomb.pth', 'raw.pth'):
        with pytest.raises(CheckpointError, match=f'{name} .*refused|{name} is refused'):
            load_checkpoint_file(tmp_path / name)
    assert not trace.exists()


def test_every_path_of_mmengine_passes_our_loader(tmp_path):
    trace = tmp_path / 'executed'
    torch.save(Bomb(str(trace)), tmp_path / 'bomb.pth')
    with pytest.raises(CheckpointError):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bomb.pth'))
    with pytest.raises(CheckpointError, match='not loaded from the network'):
        CheckpointLoader.load_checkpoint('https://example.org/weights.pth')
    assert not trace.exists()


def test_truncated_missing_and_foreign_files_are_named(tmp_path):
    good = tmp_path / 'good.pth'
    torch.save({'state_dict': {'weight': torch.zeros(1000)}}, good)
    (tmp_path / 'cut.pth').write_bytes(good.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match=r'cut.pth.*(truncated|damaged)'):
        load_checkpoint_file(tmp_path / 'cut.pth')
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        load_checkpoint_file(tmp_path / 'none.pth')
    torch.save(torch.zeros(3), tmp_path / 'tensor.pth')
    with pytest.raises(CheckpointError, match='holds a Tensor, expected a dict'):
        load_checkpoint_file(tmp_path / 'tensor.pth')


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path):
    other = MODELS.build(tiny_segmentor_config(medcontext=False, num_classes=5))
    torch.save({'state_dict': other.state_dict()}, tmp_path / 'other.pth')
    model = MODELS.build(tiny_segmentor_config(medcontext=False))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'2 of another shape .*\(5, 4, 1, 1, 1\) in the file'):
        load_weights(model, tmp_path / 'other.pth')
    torch.save({'state_dict': {'backbone.weight': torch.zeros(1)}}, tmp_path / 'alien.pth')
    with pytest.raises(CheckpointError, match=r'missing .*1 unknown to the model \(backbone.weight\)'):
        load_weights(model, tmp_path / 'alien.pth')
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_medcontext_checkpoint_loads_into_the_deployed_network(tmp_path):
    trained = MODELS.build(tiny_segmentor_config())
    torch.save({'state_dict': trained.state_dict()}, tmp_path / 'trained.pth')
    deployed = MODELS.build(tiny_segmentor_config(medcontext=False))
    load_weights(deployed, tmp_path / 'trained.pth')
    assert all(
        torch.equal(value, trained.network.state_dict()[key]) for key, value in deployed.network.state_dict().items()
    )


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused_and_the_first_is_named(tmp_path, value):
    model = MODELS.build(tiny_segmentor_config())
    weights = model.state_dict()
    names = [name for name, tensor in weights.items() if name.startswith('network.') and tensor.is_floating_point()]
    before = {name: tensor.clone() for name, tensor in weights.items()}
    broken = {name: tensor.clone() for name, tensor in weights.items()}
    for name in names[2:4]:
        broken[name].view(-1)[0] = value
    torch.save({'state_dict': broken}, tmp_path / 'broken.pth')
    with pytest.raises(CheckpointError, match=rf'broken\.pth .*not finite: 1 of \d+ values of {names[2]} .*\(2 of'):
        load_weights(model, tmp_path / 'broken.pth')
    with pytest.raises(CheckpointError, match=r'broken\.pth .*not finite: 1 of \d+ values of .*\(2 of'):
        load_pretrained(model, tmp_path / 'broken.pth', weights_of='student')
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_only_what_the_model_receives_must_be_finite(tmp_path):
    model = MODELS.build(tiny_segmentor_config(medcontext=False))
    content = {
        'state_dict': {**model.state_dict(), 'teacher.weight': torch.tensor(float('nan'))},
        'optimizer': {'state': {0: {'exp_avg': torch.tensor(float('inf'))}}},
    }
    torch.save(content, tmp_path / 'iter_1.pth')
    load_weights(model, tmp_path / 'iter_1.pth')
