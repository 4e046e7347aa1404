"""Parts of the checks by themselves: folds, sides, outliers, signatures, messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_set import SHAPE, build, read_facts

from medctx3d.datasets import UnlabelledDataset
from medctx3d.diagnosis import CHEAP, CHECKS, Check, reading, run_checks
from medctx3d.diagnosis.finding import told_problem
from medctx3d.diagnosis.gathering import gather
from medctx3d.diagnosis.pipeline_facts import PipelineFacts
from medctx3d.diagnosis.population_checks import outliers
from medctx3d.diagnosis.reading import read_cases
from medctx3d.diagnosis.side_checks import sided_pairs
from medctx3d.diagnosis.voxel_facts import signature


@pytest.fixture(scope='module')
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp('clean'))


def test_a_class_that_a_fold_lacks_is_noted(clean: Path) -> None:
    facts = read_facts(clean)
    train = facts.splits[0]
    label = train.cases[0].label
    assert label is not None
    assert label.label is not None
    rest = {number: found for number, found in label.label.classes.items() if number != 2}
    bare = replace(train.cases[0], label=replace(label, label=label.label._replace(classes=rest)))
    spoilt = replace(train, cases=(bare, *train.cases[1:]))
    folds = (('image0',), ('image1', 'image2'), ('image3', 'image4'))
    found = run_checks(replace(facts, splits=(spoilt, *facts.splits[1:]), folds=folds))
    assert [(f.check, f.severity) for f in found] == [('class_not_in_fold', 'note')]
    assert 'class spleen is in no label of fold 1 of 3' in found[0].reason


def test_the_cheap_half_reads_no_voxel(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(reading, 'read_volume', refuse)
    assert run_checks(read_facts(clean, voxels=False), CHEAP) == []


def test_processes_read_what_one_reads(clean: Path) -> None:
    facts = read_facts(clean)
    split = facts.splits[0]
    jobs = [reading.CaseJob(c.record, c.split, split.metainfo, split.pipeline.window) for c in split.cases]
    for one, other in zip(split.cases, read_cases(jobs, workers=2), strict=True):
        assert one.label is not None
        assert other.label is not None
        assert one.label.label == other.label.label
        assert one.images[0].image is not None
        assert other.images[0].image is not None
        assert one.images[0].image.digest == other.images[0].image.digest
        assert one.images[0].image.channels == other.images[0].image.channels


@pytest.mark.parametrize(
    ('distance', 'found'), [(-3.5, True), (-2.5, True), (-1.5, False), (0.0, False), (1.0, False)]
)
@pytest.mark.parametrize('pair', ['swapped_sides', 'unlikely_place'])
def test_a_place_is_wrong_only_by_more_than_a_voxel(clean: Path, pair: str, distance: float, found: bool) -> None:
    """Voxels are 2 mm wide from left to right."""
    right, left = (3, 4) if pair == 'swapped_sides' else (1, 2)  # kidneys; liver and spleen
    facts = read_facts(clean)
    train = facts.splits[0]
    label = train.cases[0].label
    assert label is not None
    assert label.label is not None
    classes = dict(label.label.classes)
    x, y, z = classes[left].centroid
    classes[right] = classes[right]._replace(centroid=(x + distance, y, z))
    moved = replace(train.cases[0], label=replace(label, label=label.label._replace(classes=classes)))
    facts = replace(facts, splits=(replace(train, cases=(moved, *train.cases[1:])),))
    assert [f.check for f in run_checks(facts, ('voxels',)) if f.where == label.path] == [pair] * found


def test_pairs_are_found_by_their_names() -> None:
    names = (
        'background',
        'right_kidney',
        'left_kidney',
        'kidney_l',
        'kidney_r',
        'LungRight',
        'LungLeft',
        'RPS',
        'LPS',
    )
    assert sided_pairs(names) == [(1, 2), (4, 3), (5, 6)]
    assert sided_pairs(('bright_spot', 'blight_spot', 'aorta')) == []


@given(st.floats(0.2, 5), st.floats(2.5, 100), st.booleans())
def test_a_value_far_from_all_others_is_an_outlier_on_either_side(usual: float, factor: float, above: bool) -> None:
    odd = usual * factor if above else usual / factor
    values = {'a': usual, 'b': usual * 1.05, 'c': usual / 1.04, 'd': usual, 'e': usual * 1.02, 'odd': odd}
    assert [name for name, _, _ in outliers(values, at_least=1.6)] == ['odd']


@given(st.lists(st.floats(0.9, 1.1), min_size=0, max_size=12))
def test_values_that_are_alike_have_no_outlier(values: list[float]) -> None:
    assert outliers({str(i): value for i, value in enumerate(values)}, at_least=1.6) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(-500, 500))
def test_a_signature_ignores_scale_and_offset_and_tells_scans_apart(seed: int, scale: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(0, 100, SHAPE), rng.normal(0, 100, SHAPE)
    assert signature(one) @ signature(scale * one + offset) > 0.999
    assert signature(one) @ signature(other) < 0.5


@pytest.mark.parametrize('check', CHECKS, ids=lambda check: check.name)
def test_every_check_is_in_the_reference(check: Check) -> None:
    page = Path(__file__).resolve().parents[2] / 'docs' / 'reference' / 'doctor_checks.md'
    assert f'| `{check.name}` | {check.severity} | {check.title} |' in page.read_text(encoding='utf-8')


def test_a_message_is_parted_into_reason_and_fix() -> None:
    problem = told_problem('a.nii.gz: must be x, it is y, e.g. z. Convert it, e.g. with nibabel.save(a).', 'a.nii.gz')
    assert problem.reason == 'must be x, it is y, e.g. z'
    assert problem.fix == 'Convert it, e.g. with nibabel.save(a)'


def test_a_pattern_without_a_match_gets_one_advice_and_no_foreign_folder(tmp_path: Path) -> None:
    dataset = UnlabelledDataset('*.mha', str(tmp_path), lazy_init=True, load_pipeline=[], pipeline=[])
    facts = gather({'train': (dataset, PipelineFacts.of({}))}, voxels=False)
    [finding] = [finding for finding in run_checks(facts, CHEAP) if finding.check == 'unusable_list']
    assert str(finding) == f'{tmp_path}: the pattern {tmp_path}/*.mha matches no file. Correct it.'
