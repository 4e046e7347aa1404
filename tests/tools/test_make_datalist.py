from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medctx3d.datasets.datalist import decathlon_metainfo, decathlon_records
from medctx3d.datasets.layouts import BTCV_CASES, BTCV_TEST, seeded_split

TOOL = Path(__file__).parents[2] / 'tools' / 'dataset' / 'make_datalist.py'


@pytest.fixture(scope='module')
def tool() -> object:
    spec = importlib.util.spec_from_file_location('make_datalist', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def volume(path: Path, shape: tuple = (4, 5, 6), dtype: type = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.zeros(shape, dtype), np.eye(4)), path)


def cases(path: Path) -> dict[str, set[str]]:
    content = json.loads(path.read_text())
    return {key: {entry['case'] for entry in value} for key, value in content.items() if isinstance(value, list)}


@pytest.fixture
def btcv(tmp_path: Path) -> Path:
    for number in BTCV_CASES:
        volume(tmp_path / 'RawData' / 'Training' / 'img' / f'img{number:04d}.nii.gz')
        volume(tmp_path / 'RawData' / 'Training' / 'label' / f'label{number:04d}.nii.gz')
    volume(tmp_path / 'RawData' / 'Testing' / 'img' / 'img0061.nii.gz')
    return tmp_path


def test_btcv_has_the_community_split(tool: object, btcv: Path, capsys: pytest.CaptureFixture) -> None:
    assert tool.main(['btcv', str(btcv)]) == 0
    found = cases(btcv / 'dataset.json')
    assert {split: len(ids) for split, ids in found.items()} == dict(training=18, test=12)
    assert found['test'] == {f'img{i:04d}' for i in (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38)}
    (record, *_) = decathlon_records(btcv / 'dataset.json', split='test')
    assert record['label'].endswith('label0001.nii.gz')
    assert len(decathlon_metainfo(btcv / 'dataset.json')['classes']) == 14
    assert '13 left_adrenal_gland' in capsys.readouterr().out


def test_the_two_btcv_splits_share_five_test_cases() -> None:
    assert set(BTCV_TEST['nnformer']) & set(BTCV_TEST['unetr']) == {29, 32, 35, 36, 38}
    assert all(len(ids) == 12 and set(ids) < set(BTCV_CASES) for ids in BTCV_TEST.values())


def test_btcv_names_missing_cases_unless_told_otherwise(
    tool: object, btcv: Path, capsys: pytest.CaptureFixture
) -> None:
    (btcv / 'RawData' / 'Training' / 'label' / 'label0033.nii.gz').unlink()
    assert tool.main(['btcv', str(btcv)]) == 1
    assert '1 are missing: 0033' in capsys.readouterr().err
    assert not (btcv / 'dataset.json').exists()
    assert tool.main(['btcv', str(btcv), '--allow-missing', '--scheme', 'unetr']) == 0
    assert len(cases(btcv / 'dataset.json')['training']) == 18
    assert len(cases(btcv / 'dataset.json')['test']) == 11


def test_an_existing_list_is_kept_unless_told_otherwise(
    tool: object, btcv: Path, capsys: pytest.CaptureFixture
) -> None:
    (btcv / 'dataset.json').write_text('mine')
    assert tool.main(['btcv', str(btcv)]) == 1
    assert '--overwrite' in capsys.readouterr().err
    assert (btcv / 'dataset.json').read_text() == 'mine'
    assert tool.main(['btcv', str(btcv), '--overwrite']) == 0
    assert len(cases(btcv / 'dataset.json')) == 2


@pytest.fixture
def acdc(tmp_path: Path) -> Path:
    for number in (*range(1, 21), 101, 102):
        part = 'training' if number <= 100 else 'testing'
        folder = tmp_path / part / f'patient{number:03d}'
        for frame in (1, 12):
            volume(folder / f'{folder.name}_frame{frame:02d}.nii.gz')
            volume(folder / f'{folder.name}_frame{frame:02d}_gt.nii.gz')
        volume(folder / f'{folder.name}_4d.nii.gz', (4, 5, 6, 3))
        (folder / 'Info.cfg').write_text(f'ED: 1\nES: 12\nGroup: {"DCM" if number % 2 else "NOR"}\nNbFrame: 30\n')
    return tmp_path


def test_acdc_keeps_patients_together_and_diagnoses_even(tool: object, acdc: Path) -> None:
    assert tool.main(['acdc', str(acdc)]) == 0
    found = cases(acdc / 'dataset.json')
    assert {split: len(ids) for split, ids in found.items()} == dict(training=28, validation=4, test=8)
    patients = {split: {name[:10] for name in ids} for split, ids in found.items()}
    assert sum(len(names) for names in patients.values()) == 20
    assert len(set().union(*patients.values())) == 20
    for names in patients.values():
        odd = sum(int(name[-3:]) % 2 for name in names)
        assert odd * 2 == len(names)
    assert 'patient101' not in set().union(*patients.values())


def test_acdc_official_test_patients(tool: object, acdc: Path) -> None:
    assert tool.main(['acdc', str(acdc), '--official-test']) == 0
    found = cases(acdc / 'dataset.json')
    assert found['test'] == {f'patient{number}_frame{frame}' for number in (101, 102) for frame in ('01', '12')}
    assert len(found['training']) + len(found['validation']) == 40


def test_acdc_works_without_info_files_and_names_a_lost_frame(
    tool: object, acdc: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = acdc / 'training' / 'patient003'
    (folder / 'Info.cfg').unlink()
    assert tool.main(['acdc', str(acdc), '--out', str(acdc / 'a.json')]) == 0
    assert 'patient003_frame12' in set().union(*cases(acdc / 'a.json').values())
    (folder / 'patient003_frame12.nii.gz').unlink()
    assert tool.main(['acdc', str(acdc)]) == 1
    assert 'patient003: needs image and truth' in (error := capsys.readouterr().err)
    assert 'patient003_frame12' in error


def test_brain_tumour_default_split_and_channels(tool: object, tmp_path: Path) -> None:
    task = tmp_path / 'Task01_BrainTumour'
    for number in range(1, 31):
        volume(task / 'imagesTr' / f'BRATS_{number:03d}.nii.gz', (4, 5, 6, 4))
        volume(task / 'labelsTr' / f'BRATS_{number:03d}.nii.gz')
    (task / 'imagesTr' / '._BRATS_001.nii.gz').write_bytes(b'resource fork')
    assert tool.main(['brain-tumour', str(tmp_path), '--validation', '5', '--test', '0.1']) == 0
    out = tmp_path / 'datalist.json'
    assert {split: len(ids) for split, ids in cases(out).items()} == dict(training=22, validation=5, test=3)
    assert decathlon_metainfo(out)['channels'] == ('FLAIR', 'T1w', 'T1gd', 'T2w')


def test_task01_of_484_cases_is_divided_as_published(tool: object) -> None:
    args = tool.parse_args(['brain-tumour', 'x'])
    subjects = {f'{i}': [dict(case=f'{i}')] for i in range(484)}
    splits = seeded_split(subjects, dict(validation=args.validation, test=args.test))
    assert {split: len(records) for split, records in splits.items()} == dict(training=387, validation=73, test=24)


def test_hippocampus_pairs_stay_together(tool: object, tmp_path: Path) -> None:
    for number in range(1, 41):
        for folder in ('imagesTr', 'labelsTr'):
            volume(tmp_path / folder / f'hippocampus_{number:03d}.nii.gz')
    (tmp_path / 'dataset.json').write_text('the official one')
    assert tool.main(['hippocampus', str(tmp_path), '--validation', '0.25']) == 0
    found = cases(tmp_path / 'datalist.json')
    assert {split: len(ids) for split, ids in found.items()} == dict(training=30, validation=10)
    for ids in found.values():
        numbers = {int(name[-3:]) for name in ids}
        assert all((n + 1 if n % 2 else n - 1) in numbers for n in numbers)
    assert (tmp_path / 'dataset.json').read_text() == 'the official one'


def test_nnunet_own_and_seeded_splits(tool: object, tmp_path: Path) -> None:
    for number in range(10):
        volume(tmp_path / 'imagesTr' / f'c{number}_0000.nii.gz')
        volume(tmp_path / 'labelsTr' / f'c{number}.nii.gz')
    volume(tmp_path / 'imagesTs' / 't_0000.nii.gz')
    description = dict(
        channel_names={'0': 'CT'}, labels=dict(background=0, liver=1), numTraining=10, file_ending='.nii.gz'
    )
    (tmp_path / 'dataset.json').write_text(json.dumps(description))
    assert tool.main(['nnunet', str(tmp_path)]) == 0
    assert {split: len(ids) for split, ids in cases(tmp_path / 'datalist.json').items()} == dict(training=10)
    assert tool.main(['nnunet', str(tmp_path), '--validation', '0.3', '--overwrite']) == 0
    assert {split: len(ids) for split, ids in cases(tmp_path / 'datalist.json').items()} == dict(
        training=7, validation=3
    )
    assert decathlon_metainfo(tmp_path / 'datalist.json') == dict(classes=('background', 'liver'), channels=('CT',))


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for name in 'abcdef':
        volume(tmp_path / 'scans' / f'{name}.nii.gz')
        volume(tmp_path / 'masks' / f'{name}.nii.gz')
    return ['folders', str(tmp_path / 'scans'), str(tmp_path / 'masks'), '--classes', 'background', 'liver']


def test_folders_are_all_training_or_divided_by_seed(tool: object, folders: list[str], tmp_path: Path) -> None:
    first, second, third = (tmp_path / f'{i}.json' for i in range(3))
    assert tool.main([*folders, '--out', str(first)]) == 0
    assert cases(first) == dict(training=set('abcdef'))
    shares = [*folders, '--validation', '2', '--test', '1', '--out']
    assert tool.main([*shares, str(second)]) == tool.main([*shares, str(third)]) == 0
    assert second.read_text() == third.read_text()
    assert {split: len(ids) for split, ids in cases(second).items()} == dict(training=3, validation=2, test=1)
    others = []
    for seed in range(1, 6):
        assert tool.main([*shares, str(third), '--overwrite', '--seed', str(seed)]) == 0
        others.append(cases(third) != cases(second))
    assert any(others)


def test_every_wrong_header_is_told_and_nothing_is_written(
    tool: object, folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    volume(tmp_path / 'masks' / 'b.nii.gz', (4, 5, 7))
    (tmp_path / 'scans' / 'e.nii.gz').write_text('not an image')
    assert tool.main(folders) == 1
    error = capsys.readouterr().err
    assert 'masks/b.nii.gz: the label must have the shape' in error
    assert 'scans/e.nii.gz: a .gz file must start as gzip' in error
    assert '2 case(s) are wrong' in error
    assert not (tmp_path / 'dataset.json').exists()


def test_impossible_shares_are_refused(tool: object, folders: list[str], capsys: pytest.CaptureFixture) -> None:
    for share in ('6', '0.01', '-1'):
        assert tool.main([*folders, '--validation', share]) == 1
        assert 'validation must leave subjects for training' in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['btcv', 'acdc', 'hippocampus', 'nnunet'])
def test_a_folder_without_the_data_is_named(
    tool: object, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture
) -> None:
    assert tool.main([kind, str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_btcv_case_that_is_there_twice_is_refused(tool: object, btcv: Path, capsys: pytest.CaptureFixture) -> None:
    volume(btcv / 'copy' / 'img0001.nii.gz')
    assert tool.main(['btcv', str(btcv)]) == 1
    assert 'case 0001 is also' in capsys.readouterr().err


def test_help_shows_an_example_per_kind(tool: object, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        tool.main(['--help'])
    shown = capsys.readouterr().out
    for kind in ('btcv', 'acdc', 'brain-tumour', 'hippocampus', 'nnunet', 'folders'):
        assert f'make_datalist.py {kind} ' in shown
