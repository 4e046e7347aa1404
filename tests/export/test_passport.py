"""Converted weights say what they are, load as what they say, and are not written if they do not fit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny_segmentor_config
from helpers_export import make_config, run_tool, save_run
from mmengine.config import Config
from monai.networks.nets import SwinUNETR
from torch import Tensor

from medctx3d import load_weights
from medctx3d.engine import load_config
from medctx3d.engine.checkpoint import CheckpointError
from medctx3d.engine.weights import load_pretrained, read_source
from medctx3d.export.passport import _from_config
from medctx3d.registry import MODELS
from medctx3d.utils.data_manifest import SeenImage, write_manifest
from medctx3d.utils.weights_file import file_digest, read_metadata, read_weights, weights_digest

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SWIN = dict(feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), window_size=2)
SEEN = [SeenImage('one', 'one.nii.gz', 'a' * 64, 'b' * 64)]


def swin_config(root: Path, **backbone: Any) -> Path:
    network = dict(
        type='EncoderDecoder',
        backbone=dict(type='SwinUNETREncoder', in_channels=1, **SWIN, **backbone),
        decode_head=dict(type='SwinUNETRDecoder', num_classes=3),
    )
    make_config(root, network=network).dump(root / 'swin.py')
    return root / 'swin.py'


def voco_head(root: Path) -> tuple[Path, dict[str, Tensor]]:
    torch.manual_seed(0)
    state = SwinUNETR(in_channels=1, out_channels=2, use_v2=True, **SWIN).state_dict()
    state = {name: value for name, value in state.items() if not name.startswith(('decoder', 'out.'))}
    torch.save(state, root / 'VoCo_B_SSL_head.pt')
    return root / 'VoCo_B_SSL_head.pt', state


def convert(file: Path, config: Path, *arguments: object) -> None:
    run_tool('convert_weights.py', file, '--to', config, *arguments)


def only(folder: Path) -> Path:
    (path,) = folder.glob('*.safetensors')
    return path


def test_published_weights_become_a_file_that_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, state = voco_head(tmp_path)
    config = swin_config(tmp_path, use_v2=True, patch_merging='legacy')
    write_manifest(tmp_path / 'seen.json', SEEN)
    convert(
        file, config, '--out', tmp_path / 'out', '--report', tmp_path / 'report.json', '--manifest',
        tmp_path / 'seen.json', '--state', 'spacing=[1.5, 1.5, 1.5]', 'licence=Apache-2.0',
    )  # fmt: skip
    path = only(tmp_path / 'out')
    header = read_metadata(path)
    assert file_digest(path).startswith(path.stem[-8:])
    stated = {key: header[key] for key in ('patch_merging', 'orientation', 'method', 'licence', 'data', 'naming')}
    assert stated == dict(
        patch_merging='legacy',
        orientation='RAS',
        method='VoCo (arXiv 2410.09890)',
        licence='Apache-2.0',
        data='not stated',
        naming='voco_ssl_head',
    )
    assert json.loads(header['spacing']) == [1.5, 1.5, 1.5]
    assert json.loads(header['data_manifest']) == [SEEN[0]._asdict()]
    assert json.loads(header['architecture'])['backbone']['type'] == 'SwinUNETREncoder'
    assert (header['source_file'], header['source_sha256']) == (file.name, file_digest(file))
    assert len(read_weights(path)) == len(state)
    assert header['weights_sha256'] == weights_digest(read_weights(path))

    told = json.loads((tmp_path / 'report.json').read_text(encoding='utf-8'))
    assert sorted(entry['source'] for entry in told['tensors']) == sorted(state)
    assert told['coverage'] == told['encoder_coverage'] == 1
    printed = capsys.readouterr().out
    assert all(name in printed for name in state)
    assert f"checkpoint='{path}'" in printed

    network = MODELS.build(Config.fromfile(str(config)).model.network)
    report = load_pretrained(network, path, part='encoder')
    assert not report.of('missing', 'unused', 'reshaped')
    assert torch.equal(network.backbone.encoder10.layer.conv1.conv.weight, state['encoder10.layer.conv1.conv.weight'])


def test_a_converted_network_with_convolution_blocks_computes_what_monai_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = SwinUNETR(in_channels=1, out_channels=3, use_v2=True, **SWIN).eval()
    torch.save(dict(state_dict=theirs.state_dict()), tmp_path / 'model.pt')
    config = swin_config(tmp_path, use_v2=True)
    whole = ['--part', 'encoder_decoder', '--patch-merging', 'current']
    convert(tmp_path / 'model.pt', config, '--out', tmp_path / 'out', *whole)
    ours = MODELS.build(Config.fromfile(str(config)).model.network).eval()
    image = torch.rand(1, 1, 64, 32, 32)
    with torch.no_grad():
        expected = theirs(image)
        assert not torch.allclose(ours(image).logits[0], expected, atol=1e-2)
        load_weights(ours, only(tmp_path / 'out'))
        assert torch.allclose(ours(image).logits[0], expected, atol=1e-5)


def test_converted_weights_keep_their_order_of_patch_merging(tmp_path: Path) -> None:
    file, _ = voco_head(tmp_path)
    convert(file, swin_config(tmp_path, use_v2=True, patch_merging='legacy'), '--out', tmp_path / 'out')
    current = MODELS.build(Config.fromfile(str(swin_config(tmp_path, use_v2=True))).model.network)
    with pytest.raises(CheckpointError, match=r"patch_merging='legacy'"):
        load_pretrained(current, only(tmp_path / 'out'), part='encoder')


def test_a_file_that_fills_too_little_is_reported_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, state = voco_head(tmp_path)
    make_config(tmp_path).dump(tmp_path / 'unet.py')
    with pytest.raises(CheckpointError, match='asked for'):
        convert(file, tmp_path / 'unet.py', '--out', tmp_path / 'out', '--report', tmp_path / 'report.json')
    assert not (tmp_path / 'out').exists()
    assert not (tmp_path / 'report.json').exists()
    printed = capsys.readouterr().out
    assert all(name in printed for name in state)


def test_a_run_states_its_own_preparation_and_method(tmp_path: Path) -> None:
    config, checkpoint = save_run(tmp_path, medcontext=True)
    content = torch.load(checkpoint, weights_only=True)
    content['meta'] = dict(cfg=Config.fromfile(str(config)).pretty_text)
    torch.save(content, checkpoint)
    write_manifest(tmp_path / 'data_manifest.json', SEEN)
    convert(checkpoint, config, '--out', tmp_path / 'out', '--weights-of', 'teacher', '--part', 'encoder_decoder')
    path = only(tmp_path / 'out')
    header = read_metadata(path)
    assert header['method'] == 'VolumeSegmentor with MedContextHead'
    assert json.loads(header['spacing']) == [1.0, 1.0, 2.0]
    assert header['orientation'] == 'RAS'
    assert json.loads(header['data_manifest']) == [SEEN[0]._asdict()]
    assert json.loads(header['window']) == [16, 16, 16]
    teacher = {name: value for name, value in content['state_dict'].items() if name.startswith('teacher.module.')}
    weights = read_weights(path)
    assert len(weights) == len(teacher)
    for name, value in teacher.items():
        assert torch.equal(weights[name.replace('teacher.module.', 'network.')], value)
    assert read_source(path).facts['spacing'] == [1.0, 1.0, 2.0]


METHODS = {  # pretraining: method, what the network saw (voxels), and whether volumes were resized
    'voco/unet_hippocampus_paper': ('VoCo', [16, 16, 16], True),
    'voco/unet_hippocampus_v1': ('VoCo', [16, 16, 16], True),
    'voco/unet_hippocampus_v2': ('VoCo', [16, 16, 16], True),
    'volume_fusion/unet_hippocampus': ('Volume Fusion', [24, 40, 24], False),
    'lrc/unet_hippocampus_moco': ('LRC on MoCo', [24, 32, 24], False),
    'lrc/unet_hippocampus_voco': ('LRC on VoCo', [24, 32, 24], True),
    'pretraining/unet_hippocampus_masked_autoencoder': ('MaskedAutoencoder', [32, 48, 32], False),
    'pretraining/unet_hippocampus_image_restoration': ('ImageRestoration', [32, 48, 32], False),
    'pretraining/unet_hippocampus_moco': ('MoCo', [24, 32, 24], False),
    'pretraining/unet_hippocampus_simclr': ('SimCLR', [24, 32, 24], False),
}


@pytest.mark.parametrize('name', METHODS)
def test_a_pretraining_states_its_method_and_what_the_encoder_saw(name: str, tmp_path: Path) -> None:
    config = load_config(CONFIGS / f'{name}.py')
    model = MODELS.build(config.model)
    file, tuning = tmp_path / 'iter_1.pth', CONFIGS / name.replace('/', '/finetune_')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=config.pretty_text)), file)
    whose = ['--weights-of', 'student'] if any('teacher.module.' in key for key in model.state_dict()) else []
    convert(file, tuning.with_suffix('.py'), '--out', tmp_path / 'out', *whose)
    header = read_metadata(only(tmp_path / 'out'))
    method, window, resized = METHODS[name]
    assert header['method'] == method
    assert json.loads(header['window']) == window
    assert header['orientation'] == 'RAS'
    assert header['data'] == 'HippocampusDataset'
    assert [step['type'] for step in json.loads(header['intensity'])] == ['monai.transforms.NormalizeIntensityd']
    spacing = 'differs: every volume resized to [32, 48, 32] voxels' if resized else '[1.0, 1.0, 1.0]'
    assert header['spacing'] == spacing
    assert header['weights_sha256'] == weights_digest(read_weights(only(tmp_path / 'out')))


def test_images_without_a_list_are_stated_too(tmp_path: Path) -> None:
    config = load_config(CONFIGS / 'volume_fusion/unet_hippocampus.py')  # its validation has a list
    config.train_dataloader.dataset = dict(type='UnlabelledDataset', load_pipeline=[], pipeline=[])
    assert _from_config(config)['data'] == 'UnlabelledDataset'


def test_a_published_model_carries_the_images_it_was_trained_on(tmp_path: Path) -> None:
    config, checkpoint = save_run(tmp_path)
    write_manifest(checkpoint.with_name('data_manifest.json'), SEEN)
    run_tool('publish_model.py', config, checkpoint, '--out', tmp_path / 'out')
    assert json.loads(read_metadata(only(tmp_path / 'out'))['data_manifest']) == [SEEN[0]._asdict()]
    network = MODELS.build(copy.deepcopy(tiny_segmentor_config(medcontext=False)))
    assert load_pretrained(network, only(tmp_path / 'out')).coverage() == 1


def test_statements_must_be_of_what_a_passport_has(tmp_path: Path) -> None:
    file, _ = voco_head(tmp_path)
    with pytest.raises(ValueError, match=r"--state must be KEY=VALUE with KEY one of method.*got 'age=3'"):
        convert(file, swin_config(tmp_path), '--state', 'age=3')


def test_the_leak_check_of_the_command_line(tmp_path: Path, nifti_dataset: Path) -> None:
    config = make_config(nifti_dataset)
    config.train_dataloader = copy.deepcopy(config.test_dataloader)
    config.train_dataloader.dataset.split = 'training'
    config.dump(tmp_path / 'run.py')
    manifest, leaks = tmp_path / 'seen.json', tmp_path / 'leaks.json'
    run_tool('dataset/make_manifest.py', tmp_path / 'run.py', '--out', manifest)
    run_tool('check_leakage.py', manifest, tmp_path / 'run.py', '--out', leaks)
    assert json.loads(leaks.read_text(encoding='utf-8')) == {}
    run_tool('dataset/make_manifest.py', tmp_path / 'run.py', '--split', 'train', 'test', '--out', manifest)
    with pytest.raises(ValueError, match=r'run\.py test: image5 \(same file\), image6 \(same file\) \(2 images\)'):
        run_tool('check_leakage.py', manifest, tmp_path / 'run.py', '--out', leaks)
    (found,) = json.loads(leaks.read_text(encoding='utf-8')).values()
    assert [one['case'] for one in found] == ['image5', 'image6']
    run_tool('check_leakage.py', manifest, tmp_path / 'run.py', '--allow-leakage')
