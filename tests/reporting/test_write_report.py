"""A report of a run, whole and with parts missing."""

from __future__ import annotations

import json
import re
import runpy
import sys
from html.parser import HTMLParser
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers_reporting import cases_of, listing, swap_splits, write_listing, write_test, write_training

from medctx3d.reporting import write_report

ROOT = Path(__file__).resolve().parents[2]


class Reader(HTMLParser):
    """Tags with their attributes, and text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self._inside = ''
        self.feed(page)
        self.text = ' '.join(' '.join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ''

    def handle_data(self, data):
        if self._inside not in ('script', 'style'):
            self.words.append(data)


@pytest.fixture
def root(nifti_dataset):
    return swap_splits(nifti_dataset)


@pytest.fixture
def run(root, tmp_path):
    folder = tmp_path / 'run'
    write_training(folder, root)
    write_test(folder, root)
    return folder


def read(report):
    return Reader(report.page.read_text(encoding='utf-8'))


def test_the_page_holds_everything_and_asks_for_nothing(run):
    report = write_report(run, cases=2)
    page = read(report)
    for tag, attributes in page.tags:
        for name in ('src', 'href', 'srcset', 'action', 'data'):
            assert attributes.get(name, '#').startswith(('#', 'data:')), (tag, attributes)
    (policy,) = [a['content'] for t, a in page.tags if a.get('http-equiv') == 'Content-Security-Policy']
    assert "default-src 'none'" in policy
    assert not re.search('https?:', policy)
    assert report.page.stat().st_size < 12e6
    pictures = [a for t, a in page.tags if t == 'img']
    assert len(pictures) == 4 * 9
    assert all(a['alt'] for a in pictures)
    assert sum(tag == 'table' for tag, _ in page.tags) == sum(tag == 'caption' for tag, _ in page.tags)
    assert 'What is missing' not in page.text


def test_json_and_markdown_say_what_the_page_says(run, root):
    report = write_report(run)
    content = json.loads(report.data.read_text(encoding='utf-8'))
    assert content['ranking'] == dict(metric='dice', worst=['image3', 'image2', 'image1'], best=['image0'])
    assert content['training']['loss'] == [[10, 3.0], [20, 1.5], [30, 1.0]]
    assert content['validation']['dice'] == [[10, 0.25], [20, 0.5], [30, 0.75]]
    assert content['seeds']['seed'] == 7
    assert content['environment']['training'] == {'sys.platform': 'linux', 'PyTorch': '2.13.0', 'seed': '7'}
    split = content['splits'][1]
    assert (split['cases'], split['labelled']) == (4, 4)
    assert split['shape']['median'] == [20, 24, 18]
    assert split['spacing_mm']['most'] == [1, 1, 2]
    page, markdown = read(report), report.markdown.read_text(encoding='utf-8')
    for case in cases_of(root):
        assert case in page.text
        assert f'| {case} |' in markdown
    for text in (page.text, markdown):
        assert 'absent' in text
        assert '0.9000' in text


def test_names_are_text_wherever_they_stand(run, root):
    name = '</script><b onclick="x">|`case'
    content = listing(root)
    content['test'][3]['case'] = name.replace('/', '')
    write_listing(root, content)
    results = json.loads((run / 'results.json').read_text(encoding='utf-8'))
    results['cases'][3]['case'] = name.replace('/', '')
    results['cases'][2]['case'] = name
    (run / 'results.json').write_text(json.dumps(results))
    report = write_report(run)
    page = read(report)
    assert not [tag for tag, attributes in page.tags if tag == 'b' or 'onclick' in attributes]
    assert name in page.text
    (data,) = re.findall(r'id="case-data"[^>]*>(.*?)</script>', report.page.read_text(encoding='utf-8'), re.DOTALL)
    assert name in [case['case'] for case in json.loads(data)]
    assert '<b' not in report.markdown.read_text(encoding='utf-8')


def test_a_run_that_was_not_tested_is_reported_by_its_training(tmp_path, root):
    write_training(tmp_path / 'run', root)
    page = read(write_report(tmp_path / 'run'))
    assert 'No results.json' in page.text
    assert 'Losses of medcontext' in page.text
    assert 'canvas' not in [tag for tag, _ in page.tags]


def test_results_alone_are_reported_without_curves_and_cases(tmp_path, root):
    write_test(tmp_path / 'run', root, predictions=False)
    page = read(write_report(tmp_path / 'run'))
    assert 'no training curves' in page.text
    assert 'No config' in page.text
    assert 'near' in page.text


def test_cases_without_predictions_show_their_truth(tmp_path, root):
    write_training(tmp_path / 'run', root)
    write_test(tmp_path / 'run', root, predictions=False)
    page = read(write_report(tmp_path / 'run', cases=1))
    assert '--save-predictions' in page.text
    assert {a['alt'].rpartition(' ')[2] for t, a in page.tags if t == 'img'} == {'truth'}


def test_cases_without_labels_show_their_prediction(run, root):
    content = listing(root)
    for entry in content['test']:
        del entry['label']
    write_listing(root, content)
    page = read(write_report(run, cases=1))
    assert {a['alt'].rpartition(' ')[2] for t, a in page.tags if t == 'img'} == {'prediction'}


def test_what_cannot_be_shown_of_a_case_is_said(run, root):
    file = run / 'predictions' / 'image3.nii.gz'
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)), file)
    (run / 'predictions' / 'image2.nii.gz').unlink()
    (root / 'image1.nii.gz').write_bytes(b'no volume')
    page = read(write_report(run))
    assert 'Case image3 cannot be shown: the prediction must have the shape of the image (20, 24, 18)' in page.text
    assert 'Case image2 has no file in predictions' in page.text
    assert 'Case image1 cannot be shown' in page.text
    assert '1 image(s) of the test split are left out' in page.text


def test_data_that_have_moved_are_found_by_an_option(run, root):
    moved = root / 'moved'
    moved.mkdir()
    for file in root.glob('*.*'):
        file.rename(moved / file.name)
    assert 'could not be read' in read(write_report(run)).text
    option = {'test_dataloader.dataset.data_root': str(moved)}
    assert [t for t, _ in read(write_report(run, options=option)).tags if t == 'img']


def test_results_of_another_folder_are_taken_from_there(tmp_path, root):
    write_training(tmp_path / 'run', root)
    write_test(tmp_path / 'elsewhere', root)
    report = write_report(tmp_path / 'run', results=tmp_path / 'elsewhere', out=tmp_path / 'out')
    assert report.page.parent == tmp_path / 'out'
    assert 'What is missing' not in read(report).text


def test_another_folder_is_refused_with_what_was_looked_for(tmp_path, run):
    with pytest.raises(FileNotFoundError, match='no such folder'):
        write_report(tmp_path / 'nothing')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match=r'scalars\.json .* and results\.json .* found neither'):
        write_report(tmp_path / 'empty')
    run.rename(tmp_path / 'empty' / 'run')
    with pytest.raises(ValueError, match='Below it lie run: give one of them'):
        write_report(tmp_path / 'empty')
    with pytest.raises(FileNotFoundError, match='has no results'):
        write_report(tmp_path / 'empty' / 'run', results=tmp_path)


@pytest.mark.parametrize(
    ('arguments', 'match'),
    [(dict(cases=-1), 'cases must be 0 or more, got -1'), (dict(page_mb=4), 'at least 5, got 4')],
)
def test_arguments_out_of_range_are_refused(run, arguments, match):
    with pytest.raises(ValueError, match=match):
        write_report(run, **arguments)


@pytest.mark.parametrize('text', ['{"mean": ', '[]', '{"mean": {}}'])
def test_results_that_no_test_wrote_are_refused(run, text):
    (run / 'results.json').write_text(text)
    with pytest.raises(ValueError, match=r'results\.json: must'):
        write_report(run)


def test_the_tool_says_where_the_page_lies(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['report.py', str(run), '--cases', '0'])
    runpy.run_path(str(ROOT / 'tools' / 'report.py'), run_name='__main__')
    assert str(run / 'report.html') in capsys.readouterr().out
    assert (run / 'report.md').is_file()
