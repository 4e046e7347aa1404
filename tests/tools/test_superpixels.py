"""The tool that makes region maps, as a user calls it."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import runpy
import sys
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest

from medctx3d.visualization import draw_regions

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('superpixels', TOOLS / 'dataset' / 'superpixels.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """Two CT-like volumes with one organ in a list."""
    entries = []
    for number in range(2):
        rng = np.random.default_rng(number)
        image = np.full((18, 16, 8), -1000, np.int16)
        image[2:16, 2:14] = rng.normal(40, 8, (14, 12, 8))
        label = np.zeros(image.shape, np.uint8)
        label[5:11, 4:10, 2:7] = 1
        image[label > 0] += 150
        for folder, voxels in (('imagesTr', image), ('labelsTr', label)):
            (tmp_path / folder).mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 2.0, 1])), tmp_path / folder / f'case{number}.nii.gz')
        entries.append(dict(image=f'imagesTr/case{number}.nii.gz', label=f'labelsTr/case{number}.nii.gz'))
    path = tmp_path / 'dataset.json'
    path.write_text(json.dumps(dict(labels={'0': 'background', '1': 'organ'}, training=entries)))
    return path


def test_a_list_gets_maps_summary_table_and_pictures_and_a_second_call_keeps_them(tool, listing, capsys):
    arguments = [str(listing), '--min-size', '50', '--sigma', '0', '--scale', '500', '--pictures', '1']
    tool.main(arguments)
    folder = listing.parent / 'imagesTr_regions'
    names = {path.name for path in folder.iterdir()}
    assert names == {'case0.nii.gz', 'case0.json', 'case0.png', 'case1.nii.gz', 'case1.json', 'summary.csv'}
    rows = list(csv.DictReader((folder / 'summary.csv').open(encoding='utf-8')))
    assert [row['case'] for row in rows] == ['case0', 'case1']
    assert all(float(row['purity_organ']) > 0.9 for row in rows)
    assert 'purity, organ' in capsys.readouterr().out
    assert cv2.imread(str(folder / 'case0.png')).shape[2] == 3
    before = (folder / 'case1.nii.gz').stat().st_mtime_ns
    tool.main(arguments)
    assert '2 of 2 maps are there already' in capsys.readouterr().out
    assert (folder / 'case1.nii.gz').stat().st_mtime_ns == before


@pytest.mark.parametrize('workers', ['1', '2'])
def test_progress_is_told_in_a_terminal_and_in_a_log(tool, listing, capsys, monkeypatch, workers):
    arguments = [str(listing), '--mode', '2d', '--pictures', '0', '--workers', workers]
    tool.main(arguments)
    assert capsys.readouterr().err.splitlines() == ['regions: 1 of 2', 'regions: 2 of 2']
    monkeypatch.setenv('FORCE_COLOR', '1')  # as in a terminal
    tool.main([*arguments, '--overwrite'])
    drawn = re.sub(r'\x1b\[[0-9;?]*[a-zA-Z]', '', capsys.readouterr().err)
    assert re.search(r'regions .* 2/2', drawn)


def test_a_folder_and_two_dimensions_need_no_labels(tool, listing, tmp_path):
    tool.main(
        [str(listing.parent / 'imagesTr'), '--mode', '2d', '--out-dir', str(tmp_path / 'maps'), '--pictures', '0']
    )
    regions = np.asarray(nib.load(tmp_path / 'maps' / 'case0.nii.gz').dataobj)
    assert not set(np.unique(regions[..., 0][regions[..., 0] > 0])) & set(np.unique(regions[..., 1]))
    assert 'purity' not in json.loads((tmp_path / 'maps' / 'case0.json').read_text())


def test_a_config_names_its_own_volumes(tool, listing, tmp_path):
    config = tmp_path / 'config.py'
    dataset = dict(type='VolumeDataset', ann_file=str(listing), metainfo=dict(classes=('background', 'organ')))
    config.write_text(f'train_dataloader = dict(dataset={dataset!r})\n')
    tool.main([str(config), '--modality', 'mr', '--min-size', '100', '--pictures', '0'])
    assert (listing.parent / 'imagesTr_regions' / 'case1.nii.gz').exists()
    with pytest.raises(ValueError, match='has no val_dataloader'):
        tool.main([str(config), '--split', 'val'])


def test_without_numba_it_says_so_before_any_work(tool, listing, monkeypatch):
    monkeypatch.setattr(tool, 'find_spec', lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'medctx3d\[optional\]', or choose --mode 2d"):
        tool.main([str(listing)])
    assert not (listing.parent / 'imagesTr_regions').exists()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--channel', '1'], 'there is no 1'),
        (['--window', '5', '5'], 'window must be two growing intensities'),
        (['--body-above', '5000'], r'case0.nii.gz: no voxel lies above body_above=5000'),
        (['--split', 'test'], "has no split 'test'"),
    ],
)
def test_what_cannot_be_is_said(tool, listing, arguments, words):
    with pytest.raises(ValueError, match=words):
        tool.main([str(listing), *arguments])


def test_the_picture_shows_each_map_in_two_rows():
    image = np.random.default_rng(0).normal(size=(20, 16, 12))
    regions = 1 + (np.arange(20) // 5)[:, None, None] + np.zeros(image.shape, int)
    one = draw_regions(image, {'a': regions}, affine=np.eye(4))
    two = draw_regions(image, {'a': regions, 'b': regions}, affine=np.eye(4))
    assert one.dtype == np.uint8
    assert two.shape[0] > 1.5 * one.shape[0]
    yellow = (one[..., 0] > 200) & (one[..., 1] > 180) & (one[..., 2] < 90)
    assert yellow.any()
    with pytest.raises(ValueError, match="regions 'a' must have the shape of the image"):
        draw_regions(image, {'a': regions[1:]}, affine=np.eye(4))


def test_the_benchmark_prints_json(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(TOOLS / 'benchmark'))
    monkeypatch.setattr(sys, 'argv', ['regions.py', '--shape', '32', '32', '16', '--repeats', '1', '--slices', '2'])
    runpy.run_path(str(TOOLS / 'benchmark' / 'regions.py'), run_name='__main__')
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['voxels'] == 32 * 32 * 16
    assert figures['regions'] > 1
    assert figures['wall_s_per_slice_2d'] > 0
