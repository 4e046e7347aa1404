from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_volumes import LOAD, METAINFO, write_case

from medctx3d.datasets import PreparedStore, disk_space, prepared_volume
from medctx3d.datasets.pipeline import build_pipeline
from medctx3d.datasets.prepared_volume import PreparationError
from medctx3d.utils.volume_file import VolumeError

FORK = multiprocessing.get_context('fork')


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, str]]:
    (tmp_path / 'source').mkdir()
    return [write_case(tmp_path / 'source', f'case{number}', seed=number) for number in range(3)]


@pytest.fixture
def store(tmp_path: Path) -> PreparedStore:
    return PreparedStore(str(tmp_path / 'store'), num_workers=0)


def prepare(store: PreparedStore, records: list, load: list = LOAD, metainfo: dict = METAINFO) -> dict[str, int]:
    """Prepare and tell each case's folder from an older one of the same name by its number on the disk."""
    store.prepare(records, load, metainfo, progress=False)
    return {case: folder.stat().st_ino for case, folder in store._folders.items()}


def whole_folders(store: PreparedStore) -> set[str]:
    return {folder.name for folder in store.root.glob('*/*')}


def test_opened_volume_is_what_the_load_pipeline_gives(store, records):
    prepare(store, records)
    loaded = build_pipeline(LOAD, METAINFO)(dict(records[1]))
    opened = store.open(records[1])
    np.testing.assert_allclose(opened['image'], loaded['image'].numpy(), atol=1e-3)
    np.testing.assert_array_equal(opened['label'], loaded['label'].numpy())
    np.testing.assert_allclose(opened['affine'], loaded['image'].affine)
    assert opened['affine'][0, 0] == 1.0  # turned to RAS+, while the file's first axis points left
    assert opened['source_affine'][0, 0] == -1.0
    assert opened['source_shape'] == (20, 18, 16)
    assert (opened['case'], opened['image_path']) == ('case1', records[1]['image'])


def test_opened_arrays_are_memory_maps_that_refuse_writing(store, records):
    prepare(store, records)
    opened = store.open(records[0])
    for key, dtype in (('image', np.float16), ('label', np.uint8)):
        assert isinstance(opened[key], np.memmap)
        assert opened[key].dtype == dtype
        with pytest.raises(ValueError, match='read-only'):
            opened[key][0, 0, 0, 0] = 1


def test_foreground_index_lists_the_voxels_of_each_class(store, records):
    prepare(store, records)
    opened = store.open(records[0])
    index = opened['foreground']
    assert index.classes == [1, 2]
    for class_id, start, stop in zip(index.classes, [0, *index.stops], index.stops, strict=False):
        expected = np.flatnonzero(np.asarray(opened['label'])[0] == class_id)
        np.testing.assert_array_equal(np.sort(index.voxels[start:stop]), expected)


def test_second_preparation_touches_nothing(store, records):
    assert prepare(store, records) == prepare(store, records)


def test_changed_source_file_is_prepared_again_and_replaces_its_earlier_self(store, records):
    before = prepare(store, records)
    write_case(Path(records[0]['image']).parent, 'case0', seed=99)
    after = prepare(store, records)
    assert len(whole_folders(store)) == 3
    assert (after['case1'], after['case2']) == (before['case1'], before['case2'])
    loaded = build_pipeline(LOAD, METAINFO)(dict(records[0]))
    np.testing.assert_allclose(store.open(records[0])['image'], loaded['image'].numpy(), atol=1e-3)


@pytest.mark.parametrize('change', ['pipeline', 'classes', 'dtype', 'index'])
def test_changed_preparation_is_noticed_and_leaves_the_earlier_one_alone(tmp_path, store, records, change):
    prepare(store, records)
    earlier = dict(store._folders)
    load, metainfo, options = copy.deepcopy(LOAD), dict(METAINFO), {}
    if change == 'pipeline':
        load[2]['b_max'] = 2.0
    elif change == 'classes':
        metainfo['classes'] = ('background', 'large', 'tiny')
    elif change == 'dtype':
        options['image_dtype'] = 'float32'
    else:
        options['foreground_per_class'] = 5
    other = PreparedStore(str(store.root), num_workers=0, **options)
    prepare(other, records, load, metainfo)
    for case, folder in earlier.items():
        assert folder.is_dir()
        assert other._folders[case] != folder


def test_same_preparation_in_other_words_is_found(store, records):
    before = prepare(store, records)
    load = [dict(reversed(list(cfg.items()))) for cfg in LOAD]
    load[1]['keys'] = tuple(load[1]['keys'])
    assert prepare(store, records, load) == before


@pytest.mark.parametrize('workers', [0, 2])
def test_interrupted_preparation_resumes(tmp_path, records, workers):
    store = PreparedStore(str(tmp_path / 'store'), num_workers=workers)
    content = Path(records[2]['image']).read_bytes()
    Path(records[2]['image']).write_bytes(content[: len(content) // 2])
    with pytest.raises(VolumeError, match='case2_image'):
        prepare(store, records)
    done = {folder.name: folder.stat().st_ino for folder in store.root.glob('*/case*')}
    assert not list(store.root.glob('*/.*'))
    Path(records[2]['image']).write_bytes(content)
    prepare(store, records)
    after = {folder.name: folder.stat().st_ino for folder in store.root.glob('*/*')}
    assert len(after) == 3
    assert done.items() <= after.items()
    assert store.open(records[2])['case'] == 'case2'


def _killed_while_writing(root: str, records: list) -> None:
    save = np.save

    def save_then_die(path: Path, array: np.ndarray) -> None:
        save(path, array)
        if path.name == 'label.npy' and len(list(path.parent.parent.glob('case*'))) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    np.save = save_then_die
    PreparedStore(root, num_workers=0).prepare(records, LOAD, METAINFO, progress=False)


def test_killed_preparation_leaves_nothing_that_counts_as_whole(store, records):
    process = FORK.Process(target=_killed_while_writing, args=(str(store.root), records))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert len(list(store.root.glob('*/case*'))) == 1
    assert len(list(store.root.glob('*/.*'))) == 1
    prepare(store, records)
    assert len(list(store.root.glob('*/case*'))) == 3
    assert not list(store.root.glob('*/.*'))


def _prepare_all(root: str, records: list, start: multiprocessing.synchronize.Barrier) -> None:
    store = PreparedStore(root, num_workers=0)
    start.wait()
    store.prepare(records, LOAD, METAINFO, progress=False)
    assert store.open(records[-1])['case'] == records[-1]['case']


def test_two_processes_may_prepare_at_once(store, records):
    start = FORK.Barrier(2)
    processes = [FORK.Process(target=_prepare_all, args=(str(store.root), records, start)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(whole_folders(store)) == 3
    prepare(store, records)
    assert len(whole_folders(store)) == 3


def _prepare_on_rank(rank: int, root: str, records: list, meeting: str) -> None:
    torch.distributed.init_process_group('gloo', init_method=f'file://{meeting}', rank=rank, world_size=2)
    store = PreparedStore(root, num_workers=0)
    written = []
    save = np.save
    np.save = lambda path, array: (written.append(path), save(path, array))
    store.prepare(records, LOAD, METAINFO, progress=False)
    assert bool(written) == (rank == 0)
    assert store.open(records[0])['case'] == 'case0'
    torch.distributed.destroy_process_group()


def test_first_rank_prepares_for_the_others(tmp_path, store, records):
    arguments = (str(store.root), records, str(tmp_path / 'meeting'))
    processes = [FORK.Process(target=_prepare_on_rank, args=(rank, *arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]


def _prepare_with_little_room(root: str, records: list, answer: multiprocessing.queues.Queue) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
    try:
        PreparedStore(root, num_workers=0).prepare(records, LOAD, METAINFO, progress=False)
    except OSError as error:
        answer.put(str(error))


def test_full_disk_gives_an_error_with_the_folder_and_leaves_nothing(store, records):
    answer = FORK.Queue()
    process = FORK.Process(target=_prepare_with_little_room, args=(str(store.root), records, answer))
    process.start()
    message = answer.get(timeout=30)
    process.join(30)
    assert str(store.root) in message
    assert 'case0' in message
    assert 'choose another root' in message
    assert not whole_folders(store)


@pytest.mark.parametrize('name', ['image.npy', 'label.npy', 'meta.json'])
def test_damaged_folder_is_prepared_again(store, records, name):
    before = prepare(store, records)
    damaged = store._folders['case1'] / name
    damaged.write_bytes(damaged.read_bytes()[:-20])
    after = prepare(store, records)
    assert after['case0'] == before['case0']
    assert after['case1'] != before['case1']
    assert store.open(records[1])['label'].sum() > 0


def test_removed_folder_is_named_when_opened(store, records):
    prepare(store, records)
    shutil.rmtree(store._folders['case1'])
    with pytest.raises(FileNotFoundError, match='case1'):
        store.open(records[1])


def test_values_beyond_float16_are_refused_and_float32_takes_them(tmp_path, store, records):
    affine = nib.load(records[0]['image']).affine
    nib.save(nib.Nifti1Image(np.full((20, 18, 16), 70000, np.int32), affine), records[0]['image'])
    load = LOAD[:2]
    with pytest.raises(PreparationError, match=r"case0.*70000.*image_dtype='float32'"):
        prepare(store, records, load)
    exact = PreparedStore(str(store.root), image_dtype='float32', num_workers=0)
    prepare(exact, records, load)
    assert float(exact.open(records[0])['image'].max()) == 70000


def test_int16_keeps_whole_numbers_and_refuses_fractions(tmp_path, records):
    store = PreparedStore(str(tmp_path / 'store'), image_dtype='int16', num_workers=0)
    prepare(store, records, LOAD[:2])
    loaded = build_pipeline(LOAD[:2], METAINFO)(dict(records[0]))
    np.testing.assert_array_equal(store.open(records[0])['image'], loaded['image'].numpy())
    with pytest.raises(PreparationError, match='whole numbers'):
        prepare(store, records, LOAD)


def test_interpolated_label_is_refused(store, records):
    spacing = dict(type='monai.transforms.Spacingd', keys=['image', 'label'], pixdim=(1.3, 1.3, 1.3))
    with pytest.raises(PreparationError, match=r"case0.*'nearest'"):
        prepare(store, records, [*LOAD, dict(spacing, mode=('bilinear', 'bilinear'))])
    prepare(store, records, [*LOAD, dict(spacing, mode=('bilinear', 'nearest'))])


def test_other_errors_of_a_transform_name_the_case(store, records):
    with pytest.raises(RuntimeError, match=r"case 'case0'.*KeyError.*scan"):
        prepare(store, records, [*LOAD, dict(type='monai.transforms.ScaleIntensityd', keys=['scan'])])


def test_too_little_space_is_found_before_starting(store, records, monkeypatch):
    monkeypatch.setattr(disk_space.shutil, 'disk_usage', lambda _: SimpleNamespace(free=50_000))
    with pytest.raises(OSError, match=r'needs 0\.1 MB.*free some space') as caught:
        prepare(store, records)  # 3 x 5760 voxels x 3 bytes = 51840
    assert str(store.root) in str(caught.value)
    assert not whole_folders(store)
    monkeypatch.setattr(disk_space.shutil, 'disk_usage', lambda _: SimpleNamespace(free=52_000))
    prepare(store, records)


def test_shortage_is_only_said_where_cropping_may_help(store, records, monkeypatch):
    said = []
    monkeypatch.setattr(disk_space, 'print_log', lambda message, **_: said.append(message))
    monkeypatch.setattr(disk_space.shutil, 'disk_usage', lambda _: SimpleNamespace(free=50_000))
    crop = dict(type='monai.transforms.CropForegroundd', keys=['image', 'label'], source_key='label')
    prepare(store, records, [*LOAD, crop])
    assert len(said) == 1
    assert 'cropping may make it fit' in said[0]


def test_space_counts_the_resampled_grid(records):
    spacing = dict(type='monai.transforms.Spacingd', keys=['image', 'label'], pixdim=(0.5, 0.75, 1.0))
    plain = disk_space.stored_bytes(records[0], LOAD, 'float16')
    assert disk_space.stored_bytes(records[0], [*LOAD, spacing], 'float16') == pytest.approx(8 * plain)


def test_store_travels_to_another_process_without_its_voxels(store, records):
    prepare(store, records)
    store.open(records[0])
    content = pickle.dumps(store)
    assert len(content) < 3000
    np.testing.assert_array_equal(pickle.loads(content).open(records[0])['label'], store.open(records[0])['label'])


def test_only_so_many_volumes_stay_open(store, records, monkeypatch):
    monkeypatch.setattr('medctx3d.datasets.prepared_store.OPEN_VOLUMES', 2)
    prepare(store, records)
    for record in (*records, records[0]):
        assert store.open(record)['case'] == record['case']
    assert list(store._open) == ['case2', 'case0']


def test_what_cannot_be_fingerprinted_is_refused(store, records):
    with pytest.raises(TypeError, match=r'load_pipeline\[3\]'):
        prepare(store, records, [*LOAD, lambda data: data])


def test_case_ids_must_be_unique(store, records):
    with pytest.raises(ValueError, match=r"'case0'.*twice"):
        prepare(store, [*records, records[0]])


def test_case_that_was_not_prepared_is_refused(store, records):
    prepare(store, records[:1])
    with pytest.raises(KeyError, match='case1'):
        store.open(records[1])


def test_case_id_with_a_slash_stays_in_the_store(store, records):
    record = dict(records[0], case='../site a/case')
    prepare(store, [record])
    assert store.open(record)['case'] == '../site a/case'
    assert store._folders[record['case']].resolve().parent.parent == store.root


def test_missing_source_file_is_named(store, records):
    Path(records[1]['label']).unlink()
    with pytest.raises(FileNotFoundError, match='case1_label'):
        prepare(store, records)


def test_unlabelled_case_has_neither_label_nor_index(store, records):
    load = [LOAD[0], dict(LOAD[1], allow_missing_keys=True), LOAD[2]]
    record = dict(records[0], label=None)
    prepare(store, [record], load)
    opened = store.open(record)
    assert 'label' not in opened
    assert 'foreground' not in opened
    assert opened['label_path'] is None


def test_volume_without_foreground_opens_with_an_empty_index(store, records):
    affine = nib.load(records[0]['label']).affine
    nib.save(nib.Nifti1Image(np.zeros((20, 18, 16), np.uint8), affine), records[0]['label'])
    prepare(store, records[:1])
    assert len(store.open(records[0])['foreground']) == 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(image_dtype='float64'), 'image_dtype.*float64'),
        (dict(foreground_per_class=0), 'foreground_per_class'),
        (dict(num_workers=-1), 'num_workers'),
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        PreparedStore(str(tmp_path), **arguments)


def test_load_pipeline_that_loses_what_is_needed_is_refused():
    with pytest.raises(PreparationError, match="dict\\(type='LoadVolume'\\)"):
        prepared_volume.as_sample(dict(image=np.zeros((1, 2, 2, 2))), dict(case='a', image='a.nii'))
