"""Files in every published naming are recognised and reported to the tensor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks.nets import UNETR, SegResNet, SwinUNETR
from nnunet_reference import ReferenceUNet
from published_files import FILES, SWIN, VIT, Published, beginning, filled, nnunet_network, unetr_network
from torch import nn

from medctx3d.engine.checkpoint import CheckpointError
from medctx3d.engine.weights import NAMINGS, load_pretrained, read_source
from medctx3d.registry import MODELS


@MODELS.register_module()
class NamedTensors(nn.Module):
    """A network of nothing but tensors with the published names."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            holder: nn.Module = self
            *parts, leaf = name.split('.')
            for part in parts:
                if not hasattr(holder, part):
                    holder.add_module(part, nn.Module())
                holder = holder.get_submodule(part)
            holder.register_parameter(leaf, nn.Parameter(torch.zeros(shape)))


def build(network: dict[str, Any]) -> nn.Module:
    return MODELS.build(dict(network))


def save(tmp_path: Path, content: Any, name: str = 'weights.pt') -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


def state_of(published: Published) -> dict[str, torch.Tensor]:
    content = published.content
    wrapped = next(
        (content[key] for key in ('state_dict', 'net', 'network_weights', 'model_state_dict') if key in content),
        content,
    )
    return {name.removeprefix('module.'): value for name, value in wrapped.items()}


def test_there_is_a_file_in_every_naming() -> None:
    assert set(FILES) | {'medctx3d'} == set(NAMINGS)


@pytest.mark.parametrize('name', sorted(FILES))
def test_a_published_file_is_recognised_and_every_tensor_is_accounted_for(name: str, tmp_path: Path) -> None:
    published = FILES[name]()
    network = build(published.network)
    report = load_pretrained(network, save(tmp_path, published.content), part=published.part, **published.arguments)
    assert report.naming == name
    state, targets = state_of(published), network.state_dict()
    if published.part == 'encoder':
        targets = {key: value for key, value in targets.items() if key.startswith('backbone.')}
    assert Counter(entry.source for entry in report.entries if entry.source) == Counter(list(state))
    assert Counter(entry.target for entry in report.entries if entry.target) == Counter(list(targets))
    for entry in report.of('unused'):
        assert entry.note.startswith('another name of') or entry.source.startswith(published.unused), entry
    if 'min_coverage' not in published.arguments:
        assert report.coverage() == 1
        assert not report.of('missing', 'new')
    for entry in report.of('matched', 'renamed'):
        loaded = network.state_dict()[entry.target]
        if entry.note == 'axes reversed' and loaded.ndim == 5:
            loaded = loaded.permute(0, 1, 4, 3, 2)
        assert torch.equal(loaded, state[entry.source]), entry


def test_the_loaded_network_computes_what_the_published_one_does(tmp_path: Path) -> None:
    cases: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        'monai_swin_unetr': (SwinUNETR(in_channels=1, out_channels=3, **SWIN), (64, 32, 32)),
        'monai_unetr': (UNETR(in_channels=1, out_channels=3, proj_type='conv', **VIT), (32, 32, 32)),
        'suprem_segresnet': (SegResNet(init_filters=8, out_channels=3), (16, 8, 8)),
    }
    for name, (theirs, size) in cases.items():
        published = FILES[name]()
        network = build(published.network).eval()
        load_pretrained(network, save(tmp_path, published.content), part=published.part, **published.arguments)
        filled(theirs)
        image = torch.rand(1, 1, *size)
        with torch.no_grad():
            assert torch.allclose(network(image).logits[0], theirs.eval()(image), atol=1e-5), name


@pytest.mark.parametrize('residual', [False, True], ids=['plain', 'residual'])
def test_nnunet_weights_compute_on_xyz_what_they_did_on_zyx(residual: bool, tmp_path: Path) -> None:
    theirs = ReferenceUNet(residual=residual)
    file = save(tmp_path, dict(network_weights=filled(theirs)))
    ours = build(nnunet_network('residual' if residual else 'plain'))
    load_pretrained(ours, file)
    image = torch.rand(1, 1, 8, 16, 16)
    expected = theirs(image)
    found = ours(image.permute(0, 1, 4, 3, 2)).logits
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one.permute(0, 1, 4, 3, 2), other, atol=1e-5)


def test_a_linear_patch_embedding_serves_as_a_convolution_and_back(tmp_path: Path) -> None:
    for stored, wanted in (('conv', 'perceptron'), ('perceptron', 'conv')):
        theirs = UNETR(in_channels=1, out_channels=3, proj_type=stored, **VIT)
        ours = build(unetr_network(proj_type=wanted)).eval()
        report = load_pretrained(ours, save(tmp_path, filled(theirs)))
        assert [entry.note for entry in report.of('reshaped')] == ['patch embedding of the other kind']
        image = torch.rand(1, 1, 32, 32, 32)
        with torch.no_grad():
            assert torch.allclose(ours(image).logits[0], theirs.eval()(image), atol=1e-5)


def test_what_an_adaptation_plan_says_comes_in_the_order_of_our_axes(tmp_path: Path) -> None:
    facts = read_source(save(tmp_path, FILES['nnssl']().content)).facts
    assert facts['spacing'] == [1.0, 2.0, 3.0]
    assert facts['window'] == [32, 24, 16]
    assert facts['method'] == 'nnssl MAE'


def test_training_checkpoints_of_voco_v1_hold_two_encoders_and_one_is_chosen(tmp_path: Path) -> None:
    published = FILES['voco_ssl_head']()
    student = {f'student.{name}': value for name, value in published.content.items()}
    teacher = {f'teacher.{name}': value + 1 for name, value in published.content.items()}
    heads = {'student.proj_head.layer1.0.weight': torch.rand(3), 'teacher.proj_head.layer1.0.weight': torch.rand(3)}
    file = save(tmp_path, dict(global_step=1, state_dict=student | teacher | heads))
    with pytest.raises(CheckpointError, match=r"student and a teacher: choose with weights_of='student'"):
        read_source(file)
    for whose, shift in (('student', 0), ('teacher', 1)):
        source = read_source(file, weights_of=whose)  # type: ignore[arg-type]
        assert source.naming.name == 'voco_training'
        key = 'swinViT.patch_embed.proj.weight'
        assert torch.equal(source.weights[key], published.content[key] + shift)


def test_student_and_teacher_of_a_file_without_a_teacher(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='holds no teacher'):
        read_source(save(tmp_path, FILES['voco_ssl_head']().content), weights_of='teacher')


def test_an_unknown_file_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    file = save(tmp_path, {'tok.weight': torch.rand(2), 'head.bias': torch.rand(1)})
    with pytest.raises(CheckpointError, match=r'follows no known naming.*2 tensors: tok\.weight, head\.bias.*--from'):
        read_source(file)
    with pytest.raises(CheckpointError, match='no tensor of nnunet'):
        read_source(file, source='nnunet')
    with pytest.raises(ValueError, match='source must be "auto" or one of medctx3d, monai_unetr'):
        read_source(file, source='nnUNet')


def test_a_file_that_fits_two_namings_is_not_guessed_at(tmp_path: Path) -> None:
    both = state_of(FILES['pymic_pctnet']()) | state_of(FILES['pymic_fmunet']())
    with pytest.raises(CheckpointError, match=r'more than one naming.*pymic_pctnet .*pymic_fmunet '):
        read_source(save(tmp_path, both))


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r'holds no weights.*got the keys epoch, state_dict'):
        read_source(save(tmp_path, dict(epoch=1, state_dict={})))


def test_published_pctnet_and_fmunet_layouts_fill_the_networks_of_this_package(tmp_path: Path) -> None:
    channels = (2, 2, 4, 4, 8)
    small = dict(type='PCTNet', in_channels=1, channels=channels, num_heads=(2, 2, 2), windows=(2, 2, 2), mode=1)
    published = MODELS.build(dict(small, num_classes=5, levels=4, published_layout=True))
    file = save(tmp_path, dict(iteration=1, model_state_dict=filled(published)), 'pctnet_ct10k_volf.pt')
    network = build(dict(type='WholeNet', net=dict(small, num_classes=3)))
    report = load_pretrained(network, file)
    assert report.coverage() == 1
    assert {entry.note for entry in report.of('new')} == {'number of classes 5 -> 3'}
    expected = published.state_dict()
    for entry in report.of('renamed'):
        assert torch.equal(network.state_dict()[entry.target], expected[entry.source]), entry
    assert load_pretrained(network, file, part='encoder').coverage() == 1
    assert (
        load_pretrained(
            network, save(tmp_path, dict(state_dict=beginning('network.', network.state_dict())))
        ).coverage()
        == 1
    )

    fmunet = dict(type='FMUNet', in_channels=1, channels=channels, mode=1)
    published = MODELS.build(dict(fmunet, num_classes=5, levels=4))
    file = save(tmp_path, dict(model_state_dict=filled(published)), 'fmunet_abk1k_volf.pt')
    network = build(dict(type='WholeNet', net=dict(fmunet, num_classes=3, in_channels=2, levels=4)))
    report = load_pretrained(network, file)
    assert [entry.source for entry in report.of('reshaped')] == ['project.weight']
    assert {entry.note for entry in report.of('new')} == {'number of classes 5 -> 3'}


def test_other_position_rows_of_pctnet_are_refused(tmp_path: Path) -> None:
    small = dict(type='PCTNet', in_channels=1, channels=(2, 2, 4, 4, 8), num_heads=(2, 2, 2), windows=(2, 2, 2))
    published = MODELS.build(dict(small, num_classes=3, published_layout=True, published_position_index=True))
    file = save(tmp_path, dict(model_state_dict=filled(published)))
    with pytest.raises(CheckpointError, match='published_position_index=True'):
        load_pretrained(build(dict(type='WholeNet', net=dict(small, num_classes=3))), file)
