"""A training does not begin if its pretraining saw what it scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from helpers_engine import run_config
from mmengine.config import Config
from mmengine.runner import Runner

from medctx3d.apis.leakage import LeakageError, leaks, split_images
from medctx3d.apis.pretrained_start import settle_pretrained
from medctx3d.apis.training import train_config
from medctx3d.engine.weights import manifest_of
from medctx3d.registry import MODELS
from medctx3d.utils.data_manifest import SeenImage, read_manifest, write_manifest


def store_anew(source: Path, target: Path) -> None:
    """The same voxels in another file: uncompressed, as float, axes reversed."""
    image = nib.load(source)
    voxels = np.asarray(image.dataobj, dtype=np.float32)[::-1, :, ::-1]
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, 1.0, -2.0, 1.0])), target)


@pytest.fixture
def pretrained(nifti_dataset: Path, tmp_path: Path) -> Path:
    """The checkpoint of a training on images of its own, which wrote down which they were."""
    config = run_config(nifti_dataset, tmp_path / 'pretraining', iterations=1, medcontext=False)
    config.custom_hooks = [dict(type='DataManifestHook')]
    Runner.from_cfg(config).train()
    return tmp_path / 'pretraining' / 'iter_1.pth'


def downstream(root: Path, work_dir: Path, checkpoint: Path, **arguments: Any) -> Config:
    config = run_config(root, work_dir, iterations=1, medcontext=False, experiment_name=f'downstream_{work_dir.name}')
    config.model.network.init_cfg = dict(type='PretrainedWeights', checkpoint=str(checkpoint), **arguments)
    return config


def test_a_training_writes_down_what_it_saw(pretrained: Path, nifti_dataset: Path) -> None:
    seen = read_manifest(pretrained.with_name('data_manifest.json'))
    assert [image.case for image in seen] == [f'image{number}' for number in range(4)]
    assert [image.file for image in seen] == [f'image{number}.nii.gz' for number in range(4)]
    assert manifest_of(pretrained) == seen
    assert str(nifti_dataset) not in json.dumps(seen)


def test_weights_pretrained_on_other_cases_start_a_training(
    pretrained: Path, nifti_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = downstream(nifti_dataset, tmp_path / 'clean', pretrained, part='encoder_decoder')
    train_config(config)
    told = capsys.readouterr().out
    assert '0 of the 4 images of the pretraining are scored here' in told
    assert 'coverage of the encoder 100.0%' in told


@pytest.fixture
def leaky(nifti_dataset: Path, pretrained: Path) -> Path:
    """The downstream list, one of whose test cases is a training image of the pretraining, stored anew."""
    shutil.copy(nifti_dataset / 'image5.nii.gz', nifti_dataset / 'kept.nii.gz')
    store_anew(nifti_dataset / 'image2.nii.gz', nifti_dataset / 'image5.nii')
    listing = json.loads((nifti_dataset / 'dataset.json').read_text(encoding='utf-8'))
    listing['test'][0]['image'] = 'image5.nii'
    (nifti_dataset / 'dataset.json').write_text(json.dumps(listing), encoding='utf-8')
    return nifti_dataset


def test_an_image_of_the_pretraining_in_the_test_split_stops_it_before_anything_is_prepared(
    leaky: Path, pretrained: Path, tmp_path: Path
) -> None:
    config = downstream(leaky, tmp_path / 'leak', pretrained)
    with pytest.raises(LeakageError, match=r'test: image5 as image2 \(same voxels\) \(1 images\).*allow_leakage=True'):
        settle_pretrained(config, MODELS.build(config.model))
    config = downstream(leaky, tmp_path / 'meant', pretrained, allow_leakage=True)
    told = settle_pretrained(config, MODELS.build(config.model))
    assert told[-1] == '1 of the 4 images of the pretraining are scored here, which allow_leakage=True allows'


def test_leaks_are_told_by_split(leaky: Path, pretrained: Path, tmp_path: Path) -> None:
    config = run_config(leaky, tmp_path / 'x', medcontext=False)
    seen = read_manifest(pretrained.with_name('data_manifest.json'))
    assert {stage: len(found) for stage, found in leaks(seen, config).items()} == {'test': 1}
    assert {stage: len(found) for stage, found in leaks(seen, config, ['train', 'val']).items()} == {'train': 4}


@pytest.mark.parametrize(
    ('val', 'test'),
    [
        (dict(split='training', part=(0.0, 0.5)), dict(split='training', part=(0.5, 1.0))),
        (dict(split='validation'), dict(split='validation', unlabelled_split='training')),
        (dict(split='training', cases=('image0',)), dict(split='training', cases=('image0', 'image1'))),
    ],
    ids=['parts', 'unlabelled', 'cases'],
)
def test_no_split_is_taken_for_another_of_the_same_list(
    val: dict[str, Any], test: dict[str, Any], nifti_dataset: Path, tmp_path: Path
) -> None:
    config = run_config(nifti_dataset, tmp_path / 'x', medcontext=False)
    config.val_dataloader.dataset.update(val)
    config.test_dataloader.dataset.update(test)
    in_val = {image.voxels for image in split_images(config, 'val')}
    seen = [image for image in split_images(config, 'test') if image.voxels not in in_val]
    assert seen
    assert [one.found for one in leaks(seen, config)['test']] == seen
    assert leaks(seen, config) == leaks(seen, config, ['test'])


def test_a_copy_of_a_checkpoint_still_says_what_it_saw(leaky: Path, pretrained: Path, tmp_path: Path) -> None:
    (tmp_path / 'alone').mkdir()
    alone = Path(shutil.copy(pretrained, tmp_path / 'alone'))
    assert manifest_of(alone) == read_manifest(pretrained.with_name('data_manifest.json'))
    config = downstream(leaky, tmp_path / 'leak', alone)
    with pytest.raises(LeakageError, match='image5 as image2'):
        settle_pretrained(config, MODELS.build(config.model))


def test_what_a_checkpoint_says_goes_before_a_later_manifest_beside_it(pretrained: Path) -> None:
    seen = manifest_of(pretrained)
    write_manifest(pretrained.with_name('data_manifest.json'), [SeenImage('later', 'later.nii', 'a' * 64, 'b' * 64)])
    assert manifest_of(pretrained) == seen


def test_load_from_is_asked_too(nifti_dataset: Path, pretrained: Path, tmp_path: Path) -> None:
    for kind in ('image', 'label'):
        shutil.copy(nifti_dataset / f'{kind}2.nii.gz', nifti_dataset / f'{kind}5.nii.gz')
    config = run_config(nifti_dataset, tmp_path / 'run', iterations=1, medcontext=False, load_from=str(pretrained))
    with pytest.raises(LeakageError, match=r'test: image5 as image2 \(same file\).*allow_leakage=True'):
        train_config(config)
    assert not list((tmp_path / 'run').rglob('*.pth'))


def test_weights_that_say_nothing_of_their_images_are_told_apart(
    pretrained: Path, nifti_dataset: Path, tmp_path: Path
) -> None:
    content = torch.load(pretrained, weights_only=True)
    del content['meta']['data_manifest']
    (tmp_path / 'alone').mkdir()
    torch.save(content, tmp_path / 'alone' / 'iter_1.pth')
    config = downstream(nifti_dataset, tmp_path / 'unknown', tmp_path / 'alone' / 'iter_1.pth')
    assert 'does not say which images' in settle_pretrained(config, MODELS.build(config.model))[-1]


def test_unfit_weights_are_reported_to_the_tensor_and_stop_a_training_before_its_volumes_are_prepared(
    nifti_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({'network.backbone.other': torch.rand(1)}, tmp_path / 'other.pth')
    config = downstream(nifti_dataset, tmp_path / 'run', tmp_path / 'other.pth')
    names = MODELS.build(config.model).network.backbone.state_dict()
    with pytest.raises(ValueError, match='asked for'):
        train_config(config)
    assert not list((tmp_path / 'run').rglob('*.pth'))
    printed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith('  ')}
    assert printed == {'network.backbone.other', *(f'backbone.{name}' for name in names)}


def train_again(root: Path, work_dir: Path, name: str, **changes: Any) -> list[SeenImage]:
    """What the checkpoint of another training says, and the manifest in its work dir, which must agree."""
    config = run_config(root, work_dir, iterations=1, medcontext=False, experiment_name=name, **changes)
    config.custom_hooks = [dict(type='DataManifestHook')]
    Runner.from_cfg(config).train()
    found = manifest_of(work_dir / 'iter_1.pth')
    assert found == read_manifest(work_dir / 'data_manifest.json')
    assert found
    return found


def test_voxels_of_files_that_are_the_same_are_not_read_again(pretrained: Path, nifti_dataset: Path) -> None:
    path = pretrained.with_name('data_manifest.json')
    seen = [image._replace(voxels='noted before') for image in read_manifest(path)]
    write_manifest(path, seen)
    assert train_again(nifti_dataset, path.parent, 'goes_on') == seen


def test_other_images_of_the_same_ids_get_a_manifest_of_their_own(pretrained: Path, nifti_dataset: Path) -> None:
    earlier = read_manifest(pretrained.with_name('data_manifest.json'))
    shutil.copy(nifti_dataset / 'image5.nii.gz', nifti_dataset / 'image1.nii.gz')
    later = train_again(nifti_dataset, pretrained.parent, 'other_images')
    assert [image.case for image in later] == [image.case for image in earlier]
    assert [one == other for one, other in zip(earlier, later, strict=True)] == [True, False, True, True]
    assert later[1].voxels == split_images(run_config(nifti_dataset, pretrained.parent), 'test')[0].voxels


def test_the_images_of_the_weights_it_begins_with_are_images_of_a_training(
    pretrained: Path, nifti_dataset: Path, tmp_path: Path
) -> None:
    earlier = read_manifest(pretrained.with_name('data_manifest.json'))
    shutil.copy(nifti_dataset / 'image5.nii.gz', nifti_dataset / 'image1.nii.gz')
    found = train_again(nifti_dataset, tmp_path / 'loaded', 'loaded', load_from=str(pretrained))
    assert found[:4] == earlier
    assert [image.case for image in found[4:]] == ['image1']
    config = downstream(nifti_dataset, tmp_path / 'begun', pretrained)
    config.custom_hooks = [dict(type='DataManifestHook')]
    Runner.from_cfg(config).train()
    assert manifest_of(tmp_path / 'begun' / 'iter_1.pth') == found


def test_a_split_is_hashed_case_by_case(nifti_dataset: Path, tmp_path: Path) -> None:
    config = run_config(nifti_dataset, tmp_path / 'run', medcontext=False)
    assert [image.case for image in split_images(config, 'test')] == ['image5', 'image6']


def test_a_fine_tuning_before_its_pretraining_says_what_is_missing(leaky: Path, tmp_path: Path) -> None:
    config = downstream(leaky, tmp_path / 'early', tmp_path / 'iter_9.pth')
    with pytest.raises(FileNotFoundError, match=r'iter_9.pth does not exist: run its pretraining first.*PRETRAINED'):
        settle_pretrained(config, MODELS.build(config.model))
