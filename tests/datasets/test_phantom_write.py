"""A data set of phantoms is whole, resumable and readable as any other."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from medctx3d.datasets.datalist import decathlon_metainfo, decathlon_records
from medctx3d.datasets.metainfo import METAINFO
from medctx3d.datasets.phantom import generate_phantom, write_dataset
from medctx3d.datasets.phantom import write as write_module
from medctx3d.datasets.phantom.plan import Settings, plan_jobs

COARSE = dict(spacing=(6.0, 6.0, 6.0), extent=(348.0, 276.0, 240.0), progress=False)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('phantoms')
    write_dataset(out, training=2, validation=1, test=1, layout='plain', seed=5, workers=2, **COARSE)
    return out


def test_list_names_classes_and_files_of_every_split(folder):
    splits = {split: decathlon_records(folder / 'dataset.json', split=split) for split in ('training', 'validation')}
    assert [record['case'] for record in splits['training']] == ['case_000', 'case_001']
    assert [record['case'] for record in splits['validation']] == ['case_002']
    assert decathlon_metainfo(folder / 'dataset.json')['classes'] == METAINFO['btcv']['classes']
    files = sorted(path.name for path in folder.rglob('*') if path.is_file())
    assert files == sorted(['dataset.json', *[f'case_00{k}.nii.gz' for k in range(4)] * 2])


def test_files_written_by_processes_hold_the_phantom_of_their_seed(folder):
    settings = Settings(5, 'plain', 2, 1, 1, COARSE['spacing'], COARSE['extent'], 0.08, None, None)
    job = plan_jobs(folder, settings)['test'][0]
    phantom = generate_phantom(job.seed, spacing=job.spacing, extent=job.extent)
    image, label = nib.load(job.image), nib.load(job.label)
    np.testing.assert_array_equal(np.asarray(image.dataobj), phantom.image)
    np.testing.assert_array_equal(np.asarray(label.dataobj), phantom.label)
    assert (image.get_data_dtype(), label.get_data_dtype()) == (np.int16, np.uint8)
    np.testing.assert_allclose(image.affine, phantom.affine, atol=1e-4)
    assert nib.aff2axcodes(image.affine) == ('R', 'A', 'S')


def test_voxel_size_differs_between_cases_within_the_range(folder):
    sizes = np.array([nib.load(path).header.get_zooms() for path in sorted((folder / 'imagesTr').iterdir())])
    assert len(np.unique(sizes[:, 0])) == 4
    assert np.all(np.abs(sizes / 6 - 1) <= 0.0801)


def test_finished_cases_are_kept_and_missing_ones_written_again(folder):
    images = sorted((folder / 'imagesTr').iterdir())
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in images}
    images[1].unlink()
    write_dataset(folder, training=2, validation=1, test=1, layout='plain', seed=5, **COARSE)
    assert images[1].read_bytes() == before[images[1]][0]
    kept = [path for path in images if path != images[1]]
    assert [path.stat().st_mtime_ns for path in kept] == [before[path][1] for path in kept]


def test_other_settings_in_the_same_folder_are_refused(folder):
    with pytest.raises(ValueError, match=r'seed=5 there, 6 asked for.*another out_dir'):
        write_dataset(folder, training=2, validation=1, test=1, layout='plain', seed=6, **COARSE)


def test_a_foreign_data_list_is_not_overwritten(tmp_path):
    (tmp_path / 'dataset.json').write_text('{"training": []}')
    with pytest.raises(ValueError, match='belongs to another data set'):
        write_dataset(tmp_path, layout='plain', **COARSE)
    assert json.loads((tmp_path / 'dataset.json').read_text()) == {'training': []}


def test_a_failed_write_leaves_nothing_behind_and_can_go_on(tmp_path, monkeypatch):
    real = write_module.generate_phantom
    calls = []

    def fail_second(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise OSError('disk full')
        return real(*args, **kwargs)

    monkeypatch.setattr(write_module, 'generate_phantom', fail_second)
    with pytest.raises(OSError, match='disk full'):
        write_dataset(tmp_path, training=2, test=0, layout='plain', **COARSE)
    assert [path.name for path in (tmp_path / 'imagesTr').iterdir()] == ['case_000.nii.gz']
    assert 'training' not in json.loads((tmp_path / 'dataset.json').read_text())
    write_dataset(tmp_path, training=2, test=0, layout='plain', **COARSE)
    assert len(calls) == 3
    assert len(decathlon_records(tmp_path / 'dataset.json')) == 2


def test_btcv_layout_has_the_published_cases(tmp_path):
    settings = Settings(0, 'btcv', 18, 0, 12, (0.75, 0.75, 3.0), (384.0, 384.0, 360.0), 0.08, None, None)
    jobs = plan_jobs(tmp_path, settings)
    assert [len(jobs[split]) for split in ('training', 'validation', 'test')] == [18, 0, 12]
    assert jobs['training'][0].image == tmp_path / 'imagesTr' / 'img0005.nii.gz'
    assert jobs['test'][-1].label == tmp_path / 'labelsTr' / 'label0038.nii.gz'
    everything = jobs['training'] + jobs['test']
    assert len({job.case for job in everything}) == len({job.seed for job in everything}) == 30
    # The number of voxels in the plane is 512 whatever a case's voxel size.
    assert {round(job.extent[0] / job.spacing[0]) for job in everything} == {512}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(layout='msd'), "layout must be 'btcv' or 'plain'"),
        (dict(training=19), "training must be 0 to 18 cases in layout 'btcv', got 19, set layout='plain'"),
        (dict(training=0, test=0), 'all 0'),
        (dict(vary=0.9), 'vary must be'),
        (dict(workers=0), 'workers must be'),
        (dict(spacing=(5.0, 5.0)), 'spacing must have three values'),
        (dict(spacing=(9.9, 9.9, 9.9)), 'voxel sizes of 0.4 to 10 mm'),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / 'new', **arguments)
    assert not (tmp_path / 'new').exists()
