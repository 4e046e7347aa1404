"""Loading gives a network all that was asked for, or refuses and leaves it as it was."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny_segmentor_config
from mmengine.config import Config
from published_files import FILES, VIT, beginning, nnunet_network, swin_network, swin_state, unetr_network, unetr_state
from torch import nn

import medctx3d
from medctx3d.engine.checkpoint import CheckpointError
from medctx3d.engine.weights import CoverageError, load_pretrained
from medctx3d.registry import BACKBONES, MODELS


def save(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def own_checkpoint(path: Path, **changes: Any) -> tuple[Path, nn.Module]:
    """A MedContext run whose teacher differs from its student in every weight."""
    torch.manual_seed(0)
    model = MODELS.build(tiny_segmentor_config(**changes))
    model.prime_teacher()
    with torch.no_grad():
        for weight in model.teacher.parameters() if model.teacher is not None else ():
            weight += 1
    text = Config(dict(model=tiny_segmentor_config(**changes))).pretty_text
    return save(path, dict(state_dict=model.state_dict(), meta=dict(cfg=text, iter=3))), model


def test_the_package_offers_it_by_the_name_of_its_task() -> None:
    assert medctx3d.load_weights is load_pretrained
    with pytest.raises(AttributeError, match='no attribute'):
        _ = medctx3d.load_weight


@pytest.mark.parametrize('whose', ['student', 'teacher'])
def test_own_checkpoints_give_the_student_or_the_teacher(whose: str, tmp_path: Path) -> None:
    file, trained = own_checkpoint(tmp_path / 'iter_3.pth')
    model = MODELS.build(tiny_segmentor_config())
    with pytest.raises(CheckpointError, match='student and a teacher'):
        load_pretrained(model, file)
    report = load_pretrained(model, file, weights_of=whose)  # type: ignore[arg-type]
    expected = trained.network if whose == 'student' else trained.teacher.module
    for name, value in expected.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], value)
    assert report.naming == 'medctx3d'
    assert not report.of('missing', 'new', 'reshaped')
    others = {'teacher.steps', *(f'auxiliary.{name}' for name in trained.auxiliary.state_dict())}
    unused = {entry.source for entry in report.of('unused')}
    assert unused - others == {
        f'{"teacher.module" if whose == "student" else "network"}.{name}' for name in trained.network.state_dict()
    }


ONE_FILE = {  # student and teacher under keys of their own, or in one dictionary, as distributed training names them
    'keys': lambda student, teacher: dict(student=student, teacher=teacher, epoch=3),
    'prefixes': lambda student, teacher: dict(
        state_dict=beginning('student.', student) | beginning('teacher.', teacher)
    ),
    'wrapped': lambda student, teacher: dict(
        state_dict=beginning('module.student.', student) | beginning('module.teacher.', teacher)
    ),
}


@pytest.mark.parametrize('form', ONE_FILE)
def test_student_and_teacher_of_medcontext_in_one_file_are_told_apart(form: str, tmp_path: Path) -> None:
    published = FILES['medcontext_unetr']()
    student = published.content['state_dict']
    teacher = {name: value + 1 for name, value in student.items()}
    file = save(tmp_path / 'both.pth', ONE_FILE[form](student, teacher))
    network = MODELS.build(published.network)
    with pytest.raises(CheckpointError, match=r"choose with weights_of='student' or weights_of='teacher'"):
        medctx3d.load_weights(network, file)
    for whose, state in (('student', student), ('teacher', teacher)):
        report = medctx3d.load_weights(network, file, weights_of=whose)
        assert (report.naming, report.coverage()) == ('medcontext_unetr', 1.0)
        loaded = report.of('matched', 'renamed', 'reshaped')
        targets = {entry.source.rpartition(f'{whose}.')[2]: entry.target for entry in loaded}
        assert set(targets) == set(state)
        for name, target in targets.items():  # axes of length 1 come and go at the mask token
            assert torch.equal(network.state_dict()[target].flatten(), state[name].flatten()), name
        assert len([entry for entry in report.of('unused') if 'not part of the network' in entry.note]) == len(state)


def test_a_self_supervised_encoder_goes_into_the_backbone(tmp_path: Path) -> None:
    """The names are those of every pretraining here; a teacher of the projector alone is no second network."""
    trained = MODELS.build(tiny_segmentor_config(medcontext=False)).network.backbone
    state = {f'network.backbone.{name}': torch.randn_like(value) for name, value in trained.state_dict().items()}
    beside = {
        'network.projector.0.weight': torch.rand(2),
        'teacher.module.0.weight': torch.rand(2),
        'queue': torch.rand(1),
    }
    file = save(tmp_path / 'iter_1.pth', dict(state_dict=state | beside, meta={}))
    model = MODELS.build(tiny_segmentor_config(medcontext=False))
    report = load_pretrained(model, file, part='encoder')
    for name, value in state.items():
        assert torch.equal(model.state_dict()[name], value)
    assert {entry.source for entry in report.of('unused')} == set(beside)


def test_what_is_left_out_by_name_starts_anew(tmp_path: Path) -> None:
    file, trained = own_checkpoint(tmp_path / 'iter_3.pth', medcontext=False)
    model = MODELS.build(tiny_segmentor_config(medcontext=False))
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    report = load_pretrained(model, file, leave_out=('decode_head.outs.*',))
    assert [entry.note for entry in report.of('new')] == ['left out by name'] * 2
    for name, value in model.network.state_dict().items():
        other = before if name.startswith('decode_head.outs.') else trained.network.state_dict()
        assert torch.equal(value, other[name]), name
    with pytest.raises(ValueError, match=r'leave_out must name tensors of the network, got outs\.\*'):
        load_pretrained(model, file, leave_out=('outs.*',))


def test_a_lone_backbone_takes_the_encoder_alone(tmp_path: Path) -> None:
    file = save(tmp_path / 'model.pt', unetr_state())
    backbone = BACKBONES.build(dict(type='UNETREncoder', in_channels=1, **VIT))
    report = load_pretrained(backbone, file, part='encoder')
    assert report.coverage() == 1
    assert all(entry.encoder for entry in report.entries if entry.target)
    assert torch.equal(backbone.vit.norm.weight, unetr_state()['vit.norm.weight'])


def test_more_image_channels_and_other_classes_are_reshaped_and_named(tmp_path: Path) -> None:
    file = save(tmp_path / 'VoComni_B.pt', FILES['vocomni']().content)
    network = MODELS.build(swin_network(use_v2=True, patch_merging='legacy', in_channels=4, classes=5))
    fresh = network.decode_head.out.conv.conv.weight.clone()
    report = load_pretrained(network, file)
    assert {entry.target for entry in report.of('reshaped')} == {
        'backbone.patch_embed.proj.weight',
        'backbone.encoder1.layer.conv1.conv.weight',
        'backbone.encoder1.layer.conv3.conv.weight',
    }
    assert [(entry.target, entry.note) for entry in report.of('new')] == [
        ('decode_head.out.conv.conv.weight', 'number of classes 21 -> 5'),
        ('decode_head.out.conv.conv.bias', 'number of classes 21 -> 5'),
    ]
    assert report.coverage() == 1
    assert torch.equal(network.decode_head.out.conv.conv.weight, fresh)


def test_positions_of_another_grid_are_interpolated_only_if_asked(tmp_path: Path) -> None:
    file = save(tmp_path / 'model.pt', unetr_state())
    network = MODELS.build(unetr_network(img_size=(32, 32, 16)))
    with pytest.raises(CoverageError, match=r'positions on another grid.*interpolate=True'):
        load_pretrained(network, file)
    report = load_pretrained(network, file, interpolate=True)
    assert [entry.note for entry in report.of('reshaped')] == ['positions interpolated']
    positions = network.backbone.vit.patch_embedding.position_embeddings
    halves = unetr_state()['vit.patch_embedding.position_embeddings'].reshape(2, 2, 2, -1).mean(2)
    assert torch.allclose(positions[0], halves.reshape(4, -1), atol=1e-6)


def test_another_architecture_gets_the_report_and_then_a_refusal(tmp_path: Path) -> None:
    file = save(tmp_path / 'model.pt', swin_state())
    network = MODELS.build(nnunet_network())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CoverageError, match=r'coverage of the encoder 0\.0%.*100\.0% is asked for') as error:
        load_pretrained(network, file, part='encoder')
    report = error.value.report
    assert len(report.of('unused')) == len(swin_state())
    assert {entry.target for entry in report.of('missing')} == {key for key in before if key.startswith('backbone.')}
    with pytest.raises(CoverageError):  # nothing at all is never enough
        load_pretrained(network, file, part='encoder', min_coverage=0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_coverage_is_the_smaller_share_of_tensors_and_of_values(tmp_path: Path) -> None:
    state = unetr_state()
    dropped = [name for name in state if name.startswith('encoder2.')]
    for name in dropped:
        del state[name]
    network = MODELS.build(unetr_network())
    report = load_pretrained(network, save(tmp_path / 'a.pt', state), part='encoder', min_coverage=0.1)
    backbone = network.backbone.state_dict()
    lost = [backbone[name] for name in dropped]
    by_count = 1 - len(lost) / len(backbone)
    by_values = 1 - sum(one.numel() for one in lost) / sum(one.numel() for one in backbone.values())
    assert report.coverage() == pytest.approx(min(by_count, by_values))
    with pytest.raises(CoverageError):
        load_pretrained(network, tmp_path / 'a.pt', part='encoder', min_coverage=report.coverage() + 1e-6)


def test_a_network_without_a_seam_has_no_encoder_to_fill(tmp_path: Path) -> None:
    net = dict(type='WholeNet', net=dict(type='monai.networks.nets.BasicUNet', features=(4,) * 6, out_channels=2))
    model = MODELS.build(net)
    file = save(tmp_path / 'own.pth', dict(state_dict={f'network.{k}': v for k, v in model.state_dict().items()}))
    with pytest.raises(ValueError, match=r"WholeNet has none.*part='encoder_decoder'"):
        load_pretrained(model, file, part='encoder')
    assert load_pretrained(model, file).coverage() == 1


class Planted:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ('this must never run',))


def test_code_in_a_checkpoint_is_named_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / 'model.pt'
    torch.save(dict(state_dict={'w': torch.rand(1)}, extra=Planted()), file, pickle_module=pickle)
    with pytest.raises(CheckpointError, match=r'refused: it holds (builtins\.)?print'):
        load_pretrained(MODELS.build(unetr_network()), file)
    assert 'never run' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(part='backbone'), "part must be 'encoder' or 'encoder_decoder', got 'backbone'"),
        (dict(min_coverage=90), r'min_coverage must lie in 0\.\.1, got 90'),
        (dict(weights_of='mentor'), "weights_of must be 'student' or 'teacher', got 'mentor'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = save(tmp_path / 'model.pt', unetr_state())
    with pytest.raises(ValueError, match=message):
        load_pretrained(MODELS.build(unetr_network()), file, **arguments)
