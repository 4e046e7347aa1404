from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from medctx3d.datasets.datalist import decathlon_metainfo, decathlon_records, write_datalist
from medctx3d.datasets.folder_lists import nnunet_metainfo, nnunet_records, nnunet_splits, paired_records
from medctx3d.datasets.formats import NNUNetDataset, PairedFolderDataset
from medctx3d.datasets.metainfo import METAINFO
from medctx3d.datasets.public_datasets import BTCVDataset


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b'x')


def entry(name: str, **more: object) -> dict:
    return dict(image=f'./images/{name}.nii.gz', label=f'./labels/{name}.nii.gz', **more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    touch(tmp_path, *(f'{folder}/{name}.nii.gz' for folder in ('images', 'labels') for name in 'abcd'))
    return tmp_path


def write(root: Path, **content: object) -> Path:
    path = root / 'dataset.json'
    path.write_text(json.dumps(content))
    return path


def says(error: pytest.ExceptionInfo, *words: str) -> None:
    for word in words:
        assert word in str(error.value)


# --- Decathlon JSON


def test_entries_become_records_with_joined_paths(root: Path) -> None:
    path = write(root, training=[entry('a'), entry('b', case='patient 7', subject='7')], test=['images/c.nii.gz'])
    first, second = decathlon_records(path)
    assert first == dict(case='a', image=f'{root}/images/a.nii.gz', label=f'{root}/labels/a.nii.gz')
    assert (second['case'], second['subject']) == ('patient 7', '7')
    assert decathlon_records(path, split='test') == [dict(case='c', image=f'{root}/images/c.nii.gz', label=None)]


def test_data_root_goes_before_the_folder_of_the_list(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp('lists')
    path = write(elsewhere, training=[entry('a')])
    assert decathlon_records(path, root)[0]['image'] == f'{root}/images/a.nii.gz'
    write(root, training=[entry('b')])
    assert decathlon_records('dataset.json', root)[0]['case'] == 'b'


def test_channel_files_make_one_case(root: Path) -> None:
    touch(root, 'images/e_0000.nii.gz', 'images/e_0001.nii.gz', 'labels/e.nii.gz')
    files = ['images/e_0000.nii.gz', 'images/e_0001.nii.gz']
    (record,) = decathlon_records(write(root, training=[dict(image=files, label='labels/e.nii.gz')]))
    assert record['case'] == 'e'
    assert record['image'] == [f'{root}/{name}' for name in files]


def test_missing_list_says_where_it_was_looked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(FileNotFoundError) as error:
        decathlon_records('none.json', 'data')
    says(error, 'none.json', str(root / 'none.json'), str(root / 'data' / 'none.json'), 'make_datalist.py')
    with pytest.raises(ValueError, match='ann_file must name'):
        decathlon_records('')


def test_invalid_json_names_the_place(root: Path) -> None:
    (root / 'dataset.json').write_text('{"training": [}')
    with pytest.raises(ValueError, match=r'dataset\.json: must be valid JSON.*line 1 column 15'):
        decathlon_records(root / 'dataset.json')
    (root / 'dataset.json').write_text('[]')
    with pytest.raises(ValueError, match='must be a JSON object'):
        decathlon_records(root / 'dataset.json')


def test_unknown_split_gets_the_closest_name(root: Path) -> None:
    path = write(root, training=[entry('a')], validation=[entry('b')])
    with pytest.raises(ValueError, match="no split 'valid'") as error:
        decathlon_records(path, split='valid')
    says(error, str(path), "'validation'?", 'training (1), validation (1)')


def test_empty_split_is_refused_but_other_empty_splits_are_not(root: Path) -> None:
    path = write(root, training=[entry('a')], validation=[], test=[])
    assert len(decathlon_records(path)) == 1
    with pytest.raises(ValueError, match="'validation' is empty"):
        decathlon_records(path, split='validation')


def test_misspelt_keys_get_the_right_name(root: Path) -> None:
    with pytest.raises(ValueError, match=r'training\[0\].*Rename \'img\' to "image"'):
        decathlon_records(write(root, training=[dict(img='images/a.nii.gz')]))
    with pytest.raises(ValueError, match=r'.labels. is no key of an entry\. Rename it to "label"'):
        decathlon_records(write(root, training=[dict(image='images/a.nii.gz', labels='labels/a.nii.gz')]))


def test_missing_file_is_given_in_full_with_what_it_is_relative_to(root: Path) -> None:
    path = write(root, training=[entry('a'), entry('gone')])
    with pytest.raises(FileNotFoundError) as error:
        decathlon_records(path)
    says(error, f'{root}/images/gone.nii.gz', str(path), f'relative to {root}', '2 missing', 'Correct data_root')


def test_training_case_without_label_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match='needs a label, 1 have none: a'):
        decathlon_records(write(root, training=[dict(image='images/a.nii.gz')]))


def test_case_in_train_and_test_is_refused_from_either_side(root: Path) -> None:
    path = write(root, training=[entry('a'), entry('b')], test=[entry('b')])
    for split in ('training', 'test'):
        with pytest.raises(ValueError, match='must not share a case, 1 are in both: b'):
            decathlon_records(path, split=split)


def test_case_listed_twice_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match='must list a case once'):
        decathlon_records(write(root, training=[entry('a'), entry('a')]))


def test_classes_and_channels_are_read_in_the_order_of_ids(root: Path) -> None:
    path = write(root, labels={'1': 'liver', '0': 'background'}, modality={'0': 'CT'})
    assert decathlon_metainfo(path) == dict(classes=('background', 'liver'), channels=('CT',))
    with pytest.raises(ValueError, match=r'without a gap, they are \[0, 2\]'):
        decathlon_metainfo(write(root, labels={'0': 'background', '2': 'liver'}))


def test_written_list_reads_back_after_a_move(root: Path) -> None:
    splits = dict(
        training=[dict(case='x', subject='p', image=f'{root}/images/a.nii.gz', label=f'{root}/labels/a.nii.gz')],
        test=[dict(case='y', image=[f'{root}/images/b.nii.gz', f'{root}/images/c.nii.gz'], label=None)],
    )
    write_datalist(root / 'list.json', splits, classes=('background', 'liver'), channels=('CT',))
    assert {split: decathlon_records(root / 'list.json', split=split) for split in splits} == splits
    moved = root.with_name('moved')
    os.rename(root, moved)
    assert decathlon_records(moved / 'list.json')[0]['image'] == f'{moved}/images/a.nii.gz'


def test_a_refused_or_failed_write_leaves_the_old_list(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / 'list.json'
    path.write_text('old')
    record = dict(case='x', image=f'{root}/images/a.nii.gz', label=f'{root}/labels/a.nii.gz')
    with pytest.raises(ValueError, match='share a case'):
        write_datalist(path, dict(training=[record], test=[record]), classes=('background',))

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(OSError, match='No space'):
        write_datalist(path, dict(training=[record]), classes=('background',))
    assert path.read_text() == 'old'
    assert sorted(os.listdir(root)) == ['images', 'labels', 'list.json']


def test_the_real_lists_load(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.environ.get('MEDCTX3D_DATA')
    if not folder:
        pytest.skip('MEDCTX3D_DATA is not set')
    for name, counts in [('msd_hippocampus', (169, 31)), ('openkbp_headneck_ct', (95, 14))]:
        root = Path(folder) / name
        assert (
            tuple(len(decathlon_records('dataset.json', root, split)) for split in ('training', 'validation'))
            == counts
        )
    assert decathlon_metainfo(root / 'dataset.json')['classes'] == METAINFO['head_neck']['classes']


# --- parallel folders


def test_folders_pair_by_name_whatever_the_suffix(root: Path) -> None:
    touch(root, 'images/e.nii', 'labels/e.nii.gz', 'images/._a.nii.gz', 'images/notes.txt', 'labels/unused.nii.gz')
    records = paired_records(root / 'images', root / 'labels')
    assert [record['case'] for record in records] == list('abcde')
    assert records[4]['label'] == f'{root}/labels/e.nii.gz'
    assert paired_records(root / 'images')[0]['label'] is None


def test_images_without_label_are_listed_up_to_five(root: Path) -> None:
    touch(root, *(f'images/z{i}.nii.gz' for i in range(7)))
    with pytest.raises(FileNotFoundError) as error:
        paired_records(root / 'images', root / 'labels')
    says(error, f'{root}/labels', '7 of 11', 'z0, z1, z2, z3, z4 and 2 more')


def test_missing_and_empty_folders_are_named(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match='none: no such folder'):
        paired_records(root / 'none', root / 'labels')
    (root / 'empty').mkdir()
    with pytest.raises(ValueError, match='empty: needs at least one image'):
        paired_records(root / 'empty', root / 'labels')


def test_paired_data_set_reads_split_folders_or_the_only_pair(root: Path) -> None:
    lazy = dict(data_root=str(root), lazy_init=True)
    assert len(PairedFolderDataset(**lazy).load_data_list()) == 4
    with pytest.raises(FileNotFoundError, match=r'test/images: no such folder.*make_datalist\.py folders'):
        PairedFolderDataset(split='test', **lazy).load_data_list()
    touch(root, 'training/images/k.nii', 'training/labels/k.nii', 'test/images/l.nii')
    assert [record['case'] for record in PairedFolderDataset(**lazy).load_data_list()] == ['k']
    assert PairedFolderDataset(split='test', **lazy).load_data_list()[0]['label'] is None


# --- nnU-Net v2


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    touch(tmp_path, *(f'imagesTr/c{i}_000{channel}.nii.gz' for i in range(3) for channel in range(2)))
    touch(tmp_path, *(f'labelsTr/c{i}.nii.gz' for i in range(3)), 'imagesTs/t_0000.nii.gz', 'imagesTs/t_0001.nii.gz')
    describe(tmp_path)
    return tmp_path


def describe(raw: Path, **changes: object) -> None:
    content = dict(
        channel_names={'0': 'T1', '1': 'T2'}, labels=dict(background=0, edema=1), numTraining=3, file_ending='.nii.gz'
    )
    content.update(changes)
    (raw / 'dataset.json').write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_nnunet_channels_come_in_order_and_test_needs_no_labels(raw: Path) -> None:
    records = nnunet_records(raw)
    assert [record['case'] for record in records] == ['c0', 'c1', 'c2']
    assert records[1]['image'] == [f'{raw}/imagesTr/c1_0000.nii.gz', f'{raw}/imagesTr/c1_0001.nii.gz']
    assert records[1]['label'] == f'{raw}/labelsTr/c1.nii.gz'
    assert nnunet_records(raw, 'test')[0]['label'] is None
    assert nnunet_metainfo(raw) == dict(classes=('background', 'edema'), channels=('T1', 'T2'))
    assert NNUNetDataset(data_root=str(raw), lazy_init=True).load_data_list() == records


def test_nnunet_single_channel_has_one_path(tmp_path: Path) -> None:
    touch(tmp_path, 'imagesTr/a_0000.nii.gz', 'labelsTr/a.nii.gz')
    describe(tmp_path, channel_names={'0': 'CT'}, numTraining=1)
    assert nnunet_records(tmp_path)[0] == dict(
        case='a', image=f'{tmp_path}/imagesTr/a_0000.nii.gz', label=f'{tmp_path}/labelsTr/a.nii.gz'
    )


def test_nnunet_fold_divides_training(raw: Path) -> None:
    with pytest.raises(ValueError, match=r"no split 'validation'.*splits_final\.json.*--validation"):
        nnunet_records(raw, 'validation')
    (raw / 'splits_final.json').write_text(json.dumps([dict(train=['c0', 'c2'], val=['c1'])]))
    splits = nnunet_splits(raw)
    assert {split: [record['case'] for record in records] for split, records in splits.items()} == dict(
        training=['c0', 'c2'], validation=['c1']
    )
    (raw / 'splits_final.json').write_text(json.dumps([dict(train=['c0', 'nobody'], val=['c1'])]))
    with pytest.raises(ValueError, match='1 cases are not in imagesTr: nobody'):
        nnunet_records(raw)
    (raw / 'splits_final.json').write_text('{}')
    with pytest.raises(ValueError, match=r'splits_final\.json: must be a list of folds'):
        nnunet_records(raw)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(channel_names=None), ['nnU-Net v2', 'lacks channel_names']),
        (dict(labels={'0': 'background', '1': 'edema'}, modality={'0': 'CT'}), ['names to ids', 'ann_file']),
        (dict(labels={'background': 0, 'whole': [1, 2], 'core': 2}), ['whole are regions', 'not supported']),
        (dict(labels={'background': 0, 'edema': 1, 'ignore': 2}), ['ignore', 'label_map={2: 0}']),
        (dict(labels={'background': 0, 'edema': 2}), ['without a gap', '[0, 2]']),
        (dict(file_ending='.png'), ["'.png'", 'must be volume files']),
        (dict(numTraining=4), ['numTraining', '3', '4']),
        (dict(channel_names={'0': 'T1'}), ['1 files', 'c0 (2)']),
    ],
)
def test_nnunet_description_that_does_not_fit_is_refused(raw: Path, changes: dict, words: list[str]) -> None:
    describe(raw, **changes)
    with pytest.raises(ValueError, match=r'dataset\.json') as error:
        nnunet_records(raw)
    says(error, str(raw), *words)


def test_nnunet_files_without_channel_number_are_named(raw: Path) -> None:
    touch(raw, 'imagesTr/odd.nii.gz')
    with pytest.raises(ValueError, match=r'CASE_0000, CASE_0001, \.\.\., odd are not'):
        nnunet_records(raw)


def test_nnunet_folder_without_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='nnU-Net v2 raw data has it beside imagesTr'):
        nnunet_records(tmp_path)


# --- meta information


@pytest.mark.parametrize('name', METAINFO)
def test_pairs_and_reported_names_are_classes(name: str) -> None:
    metainfo = METAINFO[name]
    assert metainfo['classes'][0] == 'background'
    assert len(set(metainfo['classes'])) == len(metainfo['classes'])
    named = {*metainfo.get('reported', ()), *(part for pair in metainfo.get('mirror_pairs', ()) for part in pair)}
    regions = metainfo.get('regions', {})
    named |= {member for members in regions.values() for member in members}
    assert named <= {*metainfo['classes'], *regions}


def test_brain_tumour_has_the_regions_of_brats_one_inside_the_other() -> None:
    regions = {name: set(members) for name, members in METAINFO['brain_tumour']['regions'].items()}
    assert regions['ET'] < regions['TC'] < regions['WT'] == set(METAINFO['brain_tumour']['classes'][1:])


def test_btcv_reports_the_published_eight_organs() -> None:
    metainfo = BTCVDataset.METAINFO
    assert [metainfo['classes'].index(name) for name in metainfo['reported']] == [1, 2, 3, 4, 6, 7, 8, 11]


def test_ventricles_are_no_mirror_pair() -> None:
    assert 'mirror_pairs' not in METAINFO['acdc']
