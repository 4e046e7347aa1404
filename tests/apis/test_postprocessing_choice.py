"""Choosing post-processing: what surely helps is taken, and the test split is never looked at."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mmengine.config import Config

from medctx3d.apis.postprocessing_choice import candidates, choose_for_class, config_steps, crops_of

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])  # 8 mm^3


def ball(centre, radius=4.2, shape=(20, 20, 20)):
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing='ij'))
    return np.linalg.norm(grid - np.reshape(centre, (3, 1, 1, 1)), axis=0) < radius


def case(number, *, speck=True, hole=True, two=False):
    """Truth and prediction of a ball of class 1, the prediction with a false speck or a hole; class 2 is exact."""
    truth = np.zeros((20, 20, 20), np.uint8)
    truth[ball((7, 7, 7 + number % 3))] = 1
    truth[ball((15, 15, 15), 2.5)] = 2
    if two:
        truth[ball((15, 4, 14), 2.5)] = 1
    predicted = truth.copy()
    if speck:
        predicted[1:3, 17:19, 1] = 1  # 4 voxels, 32 mm^3
    if hole:
        predicted[7, 7, 7 + number % 3] = 0
    return truth, predicted


def trials(cases, label=1, steps=None):
    crops = [crops_of(*pair, AFFINE, (1, 2))[label] for pair in cases]
    return choose_for_class(crops, label, steps or candidates())


def taken(rows):
    return [row.step for row in rows if row.taken]


def test_specks_and_holes_are_mended_and_an_exact_class_is_left_alone():
    cases = [case(number) for number in range(4)]
    assert taken(trials(cases)) == [dict(type='KeepLargestComponent'), dict(type='FillHoles')]
    assert taken(trials(cases, label=2)) == []
    last = [row for row in trials(cases) if row.taken][-1]
    assert last.after == 1
    assert last.cases == (4, 0, 0)


def test_a_step_that_loses_a_second_lesion_is_not_taken_but_one_that_loses_the_speck_is():
    cases = [case(number, hole=False, two=True) for number in range(4)]
    rows = trials(cases)
    assert taken(rows) == [dict(type='RemoveSmallComponents', min_volume=100.0)]
    largest = next(row for row in rows if row.step['type'] == 'KeepLargestComponent')
    assert largest.after < largest.before
    assert largest.cases.losses == 4


def test_a_gain_that_not_all_resamples_have_is_not_taken():
    cases = [case(0, hole=False), *(case(n, speck=False, hole=False, two=True) for n in range(3))]
    (row,) = trials(cases, steps=[dict(type='KeepLargestComponent')])
    assert not row.taken
    assert row.gain.low < 0


def test_an_organ_that_truth_lacks_counts_once_it_is_gone():
    truth, predicted = (volume.copy() for volume in case(0, hole=False))
    truth[truth == 1] = 0
    predicted[ball((7, 7, 7))] = 0
    rows = trials([(truth, predicted)] * 2, steps=candidates([100]))
    assert taken(rows) == [dict(type='RemoveSmallComponents', min_volume=100.0)]
    assert (rows[1].before, rows[1].after) == (0, 1)


def test_classes_with_the_same_steps_share_them_in_the_config():
    large, fill = dict(type='KeepLargestComponent'), dict(type='RemoveSmallComponents', min_volume=9.0)
    assert config_steps({1: [large, fill], 2: [], 3: [large, fill], 4: [fill]}) == [
        dict(type='KeepLargestComponent', classes=(1, 3)),
        dict(type='RemoveSmallComponents', classes=(1, 3), min_volume=9.0),
        dict(type='RemoveSmallComponents', classes=(4,), min_volume=9.0),
    ]


def test_one_case_is_too_few_to_choose_by():
    with pytest.raises(ValueError, match=r'class 1: .* two cases must have it, got 1'):
        trials([case(0)])


@pytest.fixture
def project(tmp_path):
    """A config with three splits, labels on disk, and predictions of the training and validation cases."""
    listing = {'labels': {'0': 'background', '1': 'near', '2': 'far'}, 'modality': {'0': 'CT'}}
    for split, start in (('training', 0), ('validation', 3), ('test', 6)):
        listing[split] = []
        for number in range(start, start + 3):
            truth, predicted = case(number)
            for kind, volume in ((f'labels/c{number}', truth), (f'images/c{number}', truth)):
                (tmp_path / kind).parent.mkdir(exist_ok=True)
                nib.save(nib.Nifti1Image(volume, AFFINE), tmp_path / f'{kind}.nii.gz')
            (tmp_path / split).mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(predicted, AFFINE), tmp_path / split / f'c{number}.nii.gz')
            listing[split].append({'image': f'images/c{number}.nii.gz', 'label': f'labels/c{number}.nii.gz'})
    (tmp_path / 'dataset.json').write_text(json.dumps(listing))
    data = dict(
        type='VolumeDataset', ann_file='dataset.json', data_root=str(tmp_path),
        metainfo=dict(classes=('background', 'near', 'far'), channels=('CT',)),
    )  # fmt: skip
    stages = dict(train='training', val='validation', test='test')
    loaders = {f'{stage}_dataloader': dict(dataset=dict(data, split=split)) for stage, split in stages.items()}
    Config(dict(model=dict(type='VolumeSegmentor'), **loaders)).dump(tmp_path / 'config.py')
    return tmp_path


def choose(project, *arguments, out='post.py'):
    tool = runpy.run_path(str(TOOLS / 'choose_postprocessing.py'))
    tool['main']([str(project / 'config.py'), *map(str, arguments), '--out', str(project / out)])
    return Config.fromfile(project / out)


@pytest.mark.parametrize(('split', 'folder'), [('val', 'validation'), ('train', 'training')])
def test_the_written_config_has_the_given_one_as_its_base_and_the_steps(project, split, folder, capsys):
    config = choose(project, project / folder, '--split', split)
    expected = [dict(type='KeepLargestComponent', classes=(1,)), dict(type='FillHoles', classes=(1,))]
    assert [dict(step) for step in config.model.postprocessing] == expected
    assert config.model.type == 'VolumeSegmentor'
    shown = capsys.readouterr().out
    assert 'KeepLargestComponent' in shown
    assert f"3 cases of split '{split}', none of the test split" in shown


def test_a_case_of_the_test_split_is_refused_by_name_under_whatever_split_it_is_given(project):
    with pytest.raises(ValueError, match=r'3 predictions are of cases of the test split.*c6, c7, c8'):
        choose(project, project / 'validation', project / 'test')
    listing = json.loads((project / 'dataset.json').read_text())
    copy = dict(listing['test'][0], case='renamed')
    (project / 'other.json').write_text(json.dumps({'labels': listing['labels'], 'validation': [copy]}))
    (project / 'sneaky').mkdir()
    (project / 'test' / 'c6.nii.gz').rename(project / 'sneaky' / 'renamed.nii.gz')
    with pytest.raises(ValueError, match='must not share a file, 1 are in both: renamed and c6'):
        choose(
            project, project / 'sneaky', '--cfg-options', f'val_dataloader.dataset.ann_file={project / "other.json"}'
        )
    assert not (project / 'post.py').exists()


def test_missing_extra_and_double_predictions_and_other_grids_are_refused(project):
    with pytest.raises(
        ValueError, match=r"of all cases of split 'val'; of none of its cases: c0, c1, c2; missing: c3"
    ):
        choose(project, project / 'training')
    (project / 'again').mkdir()
    nib.save(nib.load(project / 'validation' / 'c3.nii.gz'), project / 'again' / 'c3.nii.gz')
    with pytest.raises(ValueError, match="case 'c3' is predicted twice"):
        choose(project, project / 'validation', project / 'again')
    with pytest.raises(FileNotFoundError, match='holds no prediction'):
        choose(project, project / 'images' / 'none')
    moved = nib.load(project / 'validation' / 'c3.nii.gz')
    nib.save(nib.Nifti1Image(np.asarray(moved.dataobj), np.eye(4)), project / 'validation' / 'c3.nii.gz')
    with pytest.raises(ValueError, match=r'c3\.nii\.gz: must lie on the grid of its truth'):
        choose(project, project / 'validation')
    with pytest.raises(ValueError, match=r'--out must be a \.py file'):
        choose(project, project / 'validation', out='config.py')
