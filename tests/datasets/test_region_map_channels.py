"""Region maps of cases with several image files: a map belongs to the file that it was grown in."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny_volumes import METAINFO, write_case

from medctx3d.datasets.regions import RegionSettings, make_maps, plan_maps, region_map_path
from medctx3d.datasets.regions.region_map import check_region_map, read_sidecar, sidecar_path
from medctx3d.utils.volume_file import VolumeError

SETTINGS = RegionSettings('3d', window=(-100.0, 100.0), body_above=None, scale=10.0, sigma=0.0, min_size=60.0)
CHANNELS = dict(METAINFO, channels=('first', 'second'))


@pytest.fixture
def record(tmp_path: Path) -> dict:
    """A case with a file per channel, and its map."""
    (tmp_path / 'images').mkdir()
    files = [write_case(tmp_path / 'images', name, seed)['image'] for seed, name in enumerate(('t1', 't2'))]
    case = dict(case='case0', image=files, label=None)
    return case | dict(regions=str(region_map_path(case)))


def plan(record, channel=1, **options):
    return plan_maps([record], 'beside', SETTINGS, channel=channel, metainfo=CHANNELS, **options)


def make(record, channel):
    make_maps(plan(record, channel)[0], progress=False)


def change(file: str) -> None:
    image = nib.load(file)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + np.int16(1), image.affine), file)


@pytest.mark.parametrize('channel', [0, 1])
def test_a_map_belongs_to_the_file_of_its_channel_alone(record, channel):
    make(record, channel)
    change(record['image'][1 - channel])
    check_region_map(record)
    assert [len(jobs) for jobs in plan(record, channel)] == [0, 1]
    change(record['image'][channel])
    with pytest.raises(VolumeError, match=rf'made of another version of .*t{channel + 1}_image'):
        check_region_map(record)
    assert [len(jobs) for jobs in plan(record, channel)] == [1, 0]


def test_channels_are_counted_across_files_as_they_are_joined(record, tmp_path):
    first = np.asarray(nib.load(record['image'][0]).dataobj)
    pair = str(tmp_path / 'images' / 'pair.nii.gz')
    nib.save(nib.Nifti1Image(np.stack([first, first + 5], axis=3), nib.load(record['image'][0]).affine), pair)
    make(record, 1)
    alone = np.asarray(nib.load(record['regions']).dataobj)
    joined = dict(record, case='case1', image=[pair, record['image'][1]])
    three = dict(CHANNELS, channels=('a', 'b', 'c'))
    make_maps(plan_maps([joined], 'beside', SETTINGS, channel=2, metainfo=three)[0], progress=False)
    np.testing.assert_array_equal(np.asarray(nib.load(region_map_path(joined)).dataobj), alone)
    assert read_sidecar(region_map_path(joined))['image'] == read_sidecar(record['regions'])['image']


def test_a_channel_that_is_not_there_is_refused_before_any_map_is_made(record):
    with pytest.raises(ValueError, match=r't1_image.nii.gz: the image has 2 channel\(s\).*there is no 2'):
        plan(record, 2)
    make(record, 1)
    with pytest.raises(VolumeError, match=r'case0.nii.gz: the region map was made of channel 1: .*has 1 channel'):
        check_region_map(dict(record, image=record['image'][0]))


def test_a_map_of_another_tool_must_not_be_older_than_any_file(record):
    make(record, 0)
    sidecar_path(record['regions']).unlink()
    check_region_map(record)
    stated = os.stat(record['regions'])
    os.utime(record['image'][1], ns=(stated.st_atime_ns, stated.st_mtime_ns + 10**9))
    with pytest.raises(VolumeError, match=r'older than its image .*t2_image.nii.gz'):
        check_region_map(record)
