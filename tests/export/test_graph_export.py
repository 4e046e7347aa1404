"""Exported graphs: they answer like the network, for any batch, and know what they are."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from helpers_export import run_tool, save_run
from torch import nn

from medctx3d.apis import init_model
from medctx3d.export import DeployedNetwork, ExportError, export_graph
from medctx3d.export import graph_formats as formats
from medctx3d.typing import SegOutput

FORMATS = ('torchscript', 'torch-export', 'onnx')


def need(format):
    for package in formats.FORMATS[format].packages:
        pytest.importorskip(package)


def embedded(path, format):
    """The metadata of a graph file, read without this package."""
    if format == 'onnx':
        import onnx

        return {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith('extra/metadata.json'))
        return json.loads(archive.read(name))


class Whole(nn.Module):
    """A segmentor reduced to its network."""

    def __init__(self, network):
        super().__init__()
        self.network = network


@pytest.mark.parametrize('format', FORMATS)
def test_a_graph_answers_like_the_teacher_it_was_made_of_and_describes_itself(tmp_path, format, capsys):
    need(format)
    config, checkpoint = save_run(tmp_path, medcontext=True)
    path = tmp_path / f'net{formats.FORMATS[format].suffix}'
    run_tool('export_model.py', config, checkpoint, '--format', format, '--out', path, '--predict-with', 'teacher')
    assert f'done: the teacher as {format}' in capsys.readouterr().out
    options = {'model.test_cfg': dict(predict_with='teacher')}
    teacher = init_model(config, checkpoint, device='cpu', cfg_options=options).teacher
    images = torch.randn(4, 1, 16, 16, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        found, expected = formats.FORMATS[format].read(path)(images), teacher(images).logits[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    facts = embedded(path, format)
    decode = json.loads if format == 'onnx' else lambda value: value
    assert decode(facts['classes']) == ['background', 'near', 'far']
    assert decode(facts['window']) == [16, 16, 16]
    assert decode(facts['spacing']) == [1, 1, 2]
    assert decode(facts['intensity'])[0]['a_max'] == 250
    assert facts['orientation'] == 'RAS'
    assert facts['predict_with'] == 'teacher'
    assert len(facts['weights_sha256']) == 64


class Mean(nn.Module):
    """Not the same from one call to the next, or with the batch written into the graph."""

    def __init__(self, mode):
        super().__init__()
        self.mode = mode

    def forward(self, image):
        if self.mode == 'batch':
            image = image.reshape(int(image.shape[0]), -1).reshape(2, 1, 4, 4, 4)
        noise = torch.randn(1) if self.mode == 'noise' else 0
        return SegOutput(logits=(image + noise,))


@pytest.mark.parametrize(
    ('mode', 'message'), [('noise', 'differs from the network by'), ('batch', 'cannot be exported')]
)
def test_a_graph_that_answers_otherwise_is_not_written(tmp_path, mode, message):
    network = DeployedNetwork(Whole(Mean(mode)))
    with pytest.raises(ExportError, match=message):
        export_graph(network, tmp_path / 'net.ts', format='torchscript', channels=1, window=(4, 4, 4), metadata={})
    assert list(tmp_path.iterdir()) == []


class Normed(nn.Module):
    """A norm behind a shape that the exporter cannot follow."""

    def __init__(self):
        super().__init__()
        self.norm = nn.InstanceNorm3d(3)

    def forward(self, image):
        many = image.repeat(1, 3, 1, 1, 1).reshape(image.shape[0], -1, 4, 4, 4)
        return SegOutput(logits=(self.norm(many),))


def test_onnx_keeps_norms_whose_channels_the_exporter_loses_and_fails_without_printing_the_graph(
    tmp_path, monkeypatch, capsys
):
    need('onnx')
    arguments = dict(format='onnx', channels=1, window=(4, 4, 4), metadata={})
    network = DeployedNetwork(Whole(Normed()))
    export_graph(network, tmp_path / 'net.onnx', **arguments)
    assert not network.network.norm.affine
    monkeypatch.setattr(formats, '_with_written_norms', lambda network: network)
    with pytest.raises(ExportError, match=r'cannot be exported as onnx \(.*instance_norm'):
        export_graph(network, tmp_path / 'other.onnx', **arguments)
    assert capsys.readouterr().out == ''


def test_suffix_format_and_missing_packages_are_refused_before_anything_is_traced(tmp_path, monkeypatch):
    arguments = dict(channels=1, window=(4, 4, 4), metadata={})
    with pytest.raises(ValueError, match=r"must end in \.onnx for --format onnx, got 'net\.ts'"):
        export_graph(nn.Identity(), tmp_path / 'net.ts', format='onnx', **arguments)
    with pytest.raises(ValueError, match="one of onnx, torch-export, torchscript, got 'tensorrt'"):
        export_graph(nn.Identity(), tmp_path / 'net.trt', format='tensorrt', **arguments)

    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(formats.importlib, 'import_module', absent)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package onnx: pip install 'medctx3d\[optional\]'"):
        export_graph(nn.Identity(), tmp_path / 'net.onnx', format='onnx', **arguments)


def test_activation_checkpointing_is_switched_off_in_the_copy_alone(segmentor):
    segmentor.network.backbone.use_checkpoint = True
    assert not DeployedNetwork(segmentor).network.backbone.use_checkpoint
    assert segmentor.network.backbone.use_checkpoint


def test_what_has_no_network_or_an_empty_teacher_cannot_be_deployed(segmentor):
    with pytest.raises(ValueError, match='Identity has no network to deploy'):
        DeployedNetwork(nn.Identity())
    segmentor.predict_with = 'teacher'
    segmentor.teacher.steps.zero_()
    segmentor.teacher._primed = False
    with pytest.raises(ValueError, match='never received weights'):
        DeployedNetwork(segmentor)
