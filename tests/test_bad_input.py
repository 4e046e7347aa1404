"""Bad input as a person meets it: through the tools, refused before anything is trained, nothing half-written."""

from __future__ import annotations

import gzip
import json
import os
import runpy
import sys
from pathlib import Path

import conftest
import nibabel as nib
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent
CONFIG = """
_base_ = ['{root}/configs/medcontext/unet_phantom.py']
load = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=0, a_max=300, b_min=0.0, b_max=1.0),
]
d = dict(
    data_root='{data}',
    store=dict(root='{work}/store', num_workers=0),
    metainfo=dict(_delete_=True, classes=('background', 'near', 'far')),
    load_pipeline=load,
)
crop = [dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='PackVolume')]
train_dataloader = dict(dataset=dict(pipeline=crop, **d))
val_dataloader = dict(dataset=d)
test_dataloader = dict(dataset=d)
model = dict(
    network=dict(backbone=dict(channels=(4, 8), strides=(1, 2)), decode_head=dict(num_classes=3)),
    inferer=dict(roi_size=(16, 16, 16)),
    auxiliary=dict(medcontext=dict(patch_size=(4, 4, 4))),
)
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1))
"""


class Bench:
    """A data set, a config, and the tools."""

    def __init__(self, folder: Path) -> None:
        self.data, self.work = folder / 'data', folder / 'work'
        self.data.mkdir()
        conftest.nifti_dataset.__wrapped__(self.data)
        self.config = folder / 'tiny.py'
        self.config.write_text(CONFIG.format(root=ROOT, data=self.data, work=folder))
        self.folder = folder

    def call(self, tool: str, *arguments: object, options: tuple[str, ...] = ()) -> int:
        line = [str(argument) for argument in arguments]
        if tool == 'train':
            line = [str(self.config), '--work-dir', str(self.work), *line]
        line += ['--cfg-options', *options] if options else []
        argv, sys.argv = sys.argv, [f'{tool}.py', *line]
        try:
            runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
        except SystemExit as stop:
            return int(stop.code or 0)
        finally:
            sys.argv = argv
        return 0

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob('*') if path.is_file()}

    def rewrite(self, name: str, change, affine: np.ndarray | None = None) -> None:
        image = nib.load(self.data / name)
        voxels = change(np.asarray(image.dataobj).copy())
        nib.save(nib.Nifti1Image(voxels, image.affine if affine is None else affine), self.data / name)

    def relist(self, change) -> None:
        content = json.loads((self.data / 'dataset.json').read_text())
        change(content)
        (self.data / 'dataset.json').write_text(json.dumps(content))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


@pytest.fixture
def refused(bench, capsys):
    """Call a tool that must refuse: status 1, one message, no run begun, nothing half-written."""

    def call(tool: str, *arguments: object, options: tuple[str, ...] = ()) -> str:
        before = bench.files()
        status = bench.call(tool, *arguments, options=options)
        told = capsys.readouterr()
        assert status == 1, told.out + told.err
        assert 'Traceback' not in told.err
        assert 'iteration' not in told.out
        left = bench.files() - before
        assert not [name for name in left if not name.startswith('store/')], left
        for case in {Path(name).parent for name in left}:
            assert (bench.folder / case / 'meta.json').is_file(), left  # of the store: whole cases only
        return told.err[told.err.index('error: ') :]

    return call


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp('trained'))
    assert bench.call('train') == 0
    return bench.work / 'iter_2.pth'


def _cut(bench: Bench, name: str) -> None:
    path = bench.data / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _spacing(bench: Bench, value: float) -> None:
    path = bench.data / 'image2.nii.gz'
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[80:84] = np.float32(value).tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


VOLUMES = {  # what is done to a file, then the file and words of the message
    'truncated': (lambda b: _cut(b, 'image1.nii.gz'), 'image1.nii.gz', 'truncated'),
    'truncated in the test split': (lambda b: _cut(b, 'image6.nii.gz'), 'image6.nii.gz', 'truncated'),
    'no gzip': (lambda b: (b.data / 'image1.nii.gz').write_text('<html>'), 'image1.nii.gz', 'must start as gzip'),
    'other shape': (lambda b: b.rewrite('label2.nii.gz', lambda v: v[:-2]), 'label2.nii.gz', 'shape of its image'),
    'other affine': (
        lambda b: b.rewrite('label2.nii.gz', lambda v: v, np.diag([2.0, 1, 2, 1])),
        'label2.nii.gz',
        'must lie where its image',
    ),
    'foreign label': (
        lambda b: b.rewrite('label2.nii.gz', lambda v: np.where(v == 2, 7, v).astype(np.uint8)),
        'label2.nii.gz',
        '7 (',
    ),
    'blended label': (
        lambda b: b.rewrite('label4.nii.gz', lambda v: v.astype(np.float32) * 0.7),
        'label4.nii.gz',
        'must be whole numbers',
    ),
    'NaN': (
        lambda b: b.rewrite('image2.nii.gz', lambda v: np.where(v > 100, np.nan, v).astype(np.float32)),
        'image2.nii.gz',
        'must be finite',
    ),
    'zero spacing': (lambda b: _spacing(b, 0), 'image2.nii.gz', 'must be positive'),
    'negative spacing': (lambda b: _spacing(b, -1), 'image2.nii.gz', 'must be positive'),
    '2D': (lambda b: b.rewrite('image2.nii.gz', lambda v: v[:, :, 0]), 'image2.nii.gz', 'Stack 2D slices'),
    '4D': (lambda b: b.rewrite('image2.nii.gz', lambda v: np.stack([v, v], -1)), 'image2.nii.gz', 'channel(s)'),
    'missing': (lambda b: (b.data / 'image6.nii.gz').unlink(), 'image6.nii.gz', 'no such file'),
    'empty split': (lambda b: b.relist(lambda c: c.update(test=[])), 'dataset.json', "'test' is empty"),
    'shared case': (
        lambda b: b.relist(lambda c: c['test'].append(c['training'][0])),
        'dataset.json',
        'must not share a case',
    ),
}


@pytest.mark.parametrize('name', VOLUMES)
def test_training_refuses_bad_files_before_it_begins(name, bench, refused):
    spoil, file, words = VOLUMES[name]
    spoil(bench)
    message = refused('train')
    assert file in message
    assert words in message
    assert not bench.work.exists() or not any(bench.work.iterdir())


def test_case_in_train_and_test_is_found_across_two_lists(bench, refused):
    content = json.loads((bench.data / 'dataset.json').read_text())
    (bench.data / 'other.json').write_text(json.dumps({'test': content['training'][:1]}))
    message = refused('train', options=('test_dataloader.dataset.ann_file=other.json',))
    assert 'must not share a case' in message
    assert 'image0' in message


CONFIGS = {  # options, then words of the message
    'deep key': (('model.auxiliary.medcontext.masking.axes=1',), "Did you mean 'axis'"),
    'unknown type': (('model.network.backbone.type=UNetEncodr',), 'Closest names: UNetEncoder'),
    'misspelt option': (('trian_cfg.max_iters=3',), "Did you mean 'train_cfg.max_iters'"),
    'option that is a variable': (('load_pipeline=/x',), "nothing reads 'load_pipeline'"),
    'option beyond a list': (('train_dataloader.dataset.pipeline.9.size=3',), 'leads nowhere'),
    'option into a number': (('train_cfg.max_iters.x=3',), 'leads nowhere'),
    'length that is no number': (('train_cfg.max_iters=long',), 'train_cfg.max_iters: SeekingTrainLoop wants int'),
    'no optimiser': (('optim_wrapper=None',), 'has no optim_wrapper'),
    'half a validation': (('val_evaluator=None',), 'has no val_evaluator'),
    'metainfo key': (('train_dataloader.dataset.metainfo.klasses=1',), "Did you mean 'classes'"),
    'input channels': (('model.network.backbone.in_channels=2',), 'in_channels is 2'),
    'output classes': (('model.network.decode_head.num_classes=5',), 'set it to 3'),
    'splits of other classes': (
        ("val_dataloader.dataset.metainfo.classes=('background','near')",),
        'must be the same for every split',
    ),
    'mask cell': (('train_dataloader.dataset.pipeline.0.size=(18,16,16)',), 'does not divide the crop'),
    'nothing hidden': (('model.auxiliary.medcontext.patch_size=(16,16,16)',), 'hides none'),
    'tokens of a convolution': (('model.auxiliary.medcontext.mask_space=token',), 'no tokens to hide'),
    'inference window': (('model.inferer.roi_size=(17,16,16)',), 'multiples of (2, 2, 2)'),
    'teacher that nobody moves': (('custom_hooks=[]',), 'no hook moves it'),
    'hook without teacher': (('model.teacher=None', 'model.auxiliary=None'), 'has no teacher'),
    'head without teacher': (('model.teacher=None',), 'follows a teacher'),
    'missing argument': (('model.criterion._delete_=True', 'model.criterion.type=SegCriterion'), 'riterion'),
}


@pytest.mark.parametrize('name', CONFIGS)
def test_training_refuses_a_config_whose_parts_do_not_fit(name, bench, refused):
    options, words = CONFIGS[name]
    assert words in refused('train', options=options)
    assert not bench.work.exists()


def test_unetr_for_another_crop_is_refused(bench, refused):
    bench.config.write_text(
        bench.config.read_text()
        + """
net = dict(type='UNETREncoder', img_size=(32, 32, 32), feature_size=4, hidden_size=12, mlp_dim=16, num_heads=2)
net = dict(_delete_=True, in_channels=1, **net)
model['network'] = dict(backbone=net, decode_head=dict(_delete_=True, type='UNETRDecoder', num_classes=3))
"""
    )
    message = refused('train')
    assert 'built for crops of (32, 32, 32)' in message
    assert 'got (16, 16, 16)' in message


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            "custom_hooks = [dict(type='EMATeacherHook'), dict(type='RampUpHook', head='other')]",
            "RampUpHook for the auxiliary head 'other'",
        ),
        (
            "train_dataloader['sampler'] = dict(_delete_=True, type='MixedSampler', unlabelled=2)",
            'choose a multiple of 3',
        ),
    ],
)
def test_hooks_and_samplers_that_do_not_fit_are_refused(text, words, bench, refused):
    bench.config.write_text(bench.config.read_text() + '\n' + text + '\n')
    assert words in refused('train')
    assert not bench.work.exists()


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('train_dataloder = dict()', "Did you mean 'train_dataloader'"),
        ('x = (', "this is no Python ('(' was never closed)"),
        ('x = nothing', 'NameError'),
    ],
)
def test_config_file_with_a_mistake_is_named(text, words, bench, refused):
    bench.config.write_text(bench.config.read_text() + '\n' + text + '\n')
    message = refused('train')
    assert 'tiny.py' in message
    assert words in message


def test_option_without_equals_sign_ends_with_usage(bench, capsys):
    assert bench.call('train', options=('train_cfg.max_iters',)) == 2
    assert 'KEY=VALUE' in capsys.readouterr().err


def test_crop_larger_than_the_volume_is_padded_and_this_is_said_once(bench, capsys):
    options = ('train_dataloader.dataset.pipeline.0.size=(32,32,32)', 'val_dataloader=None', 'val_cfg=None')
    assert bench.call('train', options=(*options, 'val_evaluator=None', 'train_cfg.max_iters=1')) == 0
    told = capsys.readouterr()
    said = ' '.join((told.out + told.err).split())
    assert said.count('are padded') == 1
    assert 'crop of (32, 32, 32) voxels are padded (said once), 4 of 4 are: ' in said
    assert 'fit into all' in said
    assert 'iteration 1/1' in told.out


class Harm:
    """Pickled code."""

    def __reduce__(self):
        return os.mkdir, ('harmed',)


@pytest.fixture
def checkpoints(trained, tmp_path):
    whole = torch.load(trained, weights_only=True)
    other = {name: value for name, value in whole['state_dict'].items() if 'outs' not in name}
    (tmp_path / 'cut.pth').write_bytes(trained.read_bytes()[:20000])
    torch.save({**whole, 'state_dict': other}, tmp_path / 'other.pth')
    torch.save({**whole, 'extra': Harm()}, tmp_path / 'harm.pth')
    torch.save({**whole, 'state_dict': [1]}, tmp_path / 'list.pth')
    first, weight = next((name, value) for name, value in whole['state_dict'].items() if value.is_floating_point())
    broken = {**whole['state_dict'], first: weight * float('nan')}
    torch.save({**whole, 'state_dict': broken}, tmp_path / 'nan.pth')
    place = (content := trained.read_bytes()).index(weight.numpy().tobytes())
    (tmp_path / 'flipped.pth').write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
    return tmp_path


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('cut', 'truncated'),
        ('other', 'does not fit'),
        ('harm', 'mkdir'),
        ('list', 'no weights'),
        ('nan', 'are NaN or infinite'),
        ('flipped', 'do not match their checksum'),
        ('gone', 'not exist'),
    ],
)
@pytest.mark.parametrize('use', ['test', 'infer', 'resume', 'load_from'])
def test_bad_checkpoint_is_refused_everywhere(use, name, words, bench, checkpoints, refused):
    path = checkpoints / f'{name}.pth'
    if use == 'test':
        message = refused('test', bench.config, path, '--work-dir', bench.work)
    elif use == 'infer':
        message = refused('infer', bench.config, path, bench.data / 'image6.nii.gz', '--out', bench.folder / 'seg')
    elif use == 'resume':
        message = refused('train', '--resume', path)
    else:
        message = refused('train', options=(f'load_from={path}',))
    assert f'{name}.pth' in message
    assert words in message
    assert not Path('harmed').exists()


def test_resuming_from_weights_alone_is_refused_with_the_way_out(bench, trained, refused, tmp_path):
    torch.save(torch.load(trained, weights_only=True)['state_dict'], tmp_path / 'plain.pth')
    assert 'load_from=' in refused('train', '--resume', tmp_path / 'plain.pth')


def test_resume_without_a_checkpoint_says_that_it_starts_anew_and_an_earlier_run_is_mentioned(bench, capsys):
    quick = ('val_dataloader=None', 'val_cfg=None', 'val_evaluator=None', 'train_cfg.max_iters=1')
    assert bench.call('train', '--resume', options=quick) == 0
    assert 'there is no checkpoint' in capsys.readouterr().out
    moved = bench.work.rename(bench.folder / 'moved')  # last_checkpoint still names the old folder
    bench.work = moved
    assert bench.call('train', '--resume', options=quick) == 0
    assert 'nothing is left to train' in capsys.readouterr().out
    assert bench.call('train', options=quick) == 0
    assert 'holds an earlier run (iter_1.pth)' in capsys.readouterr().out


@pytest.mark.parametrize('tool', ['train', 'test', 'infer', 'browse_dataset'])
def test_output_folder_that_cannot_be_written_to_is_refused_first(tool, bench, trained, refused):
    blocked = bench.folder / 'blocked'
    blocked.write_text('a file')
    calls = {
        'train': ('--work-dir', blocked),
        'test': (bench.config, trained, '--work-dir', bench.work, '--out', blocked),
        'infer': (bench.config, trained, bench.data / 'image6.nii.gz', '--out', blocked),
        'browse_dataset': (bench.config, '--out', blocked),
    }
    message = refused(tool, *calls[tool])
    assert str(blocked) in message
    assert 'it is a file' in message
    assert blocked.read_text() == 'a file'


def test_disk_that_fills_under_a_checkpoint_leaves_the_one_before(bench, capsys, monkeypatch):
    resource = pytest.importorskip('resource')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    torch_save = torch.save

    def save(obj, file, *arguments, **settings):  # from the second step on, files end after 40 kB
        if obj.get('meta', {}).get('iter') == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
        torch_save(obj, file, *arguments, **settings)

    monkeypatch.setattr(torch, 'save', save)
    try:
        status = bench.call('train')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1
    assert 'checkpoint of step 2 could not be written' in capsys.readouterr().err
    assert [path.name for path in bench.work.glob('*.pth')] == ['iter_1.pth']
    assert torch.load(bench.work / 'iter_1.pth', weights_only=True)['meta']['iter'] == 1
    assert (bench.work / 'last_checkpoint').read_text().endswith('iter_1.pth')
    assert not list(bench.work.rglob('.tmp-*'))


def test_testing_cases_without_truth_is_refused_first(bench, trained, refused):
    bench.relist(lambda content: content['test'][0].pop('label'))
    assert 'needs a label to be scored' in refused('test', bench.config, trained, '--work-dir', bench.work)


def test_unknown_device_is_refused(bench, trained, refused):
    arguments = (bench.config, trained, bench.data / 'image6.nii.gz', '--out', bench.folder / 'seg')
    assert 'there is: cpu' in refused('infer', *arguments, '--device', 'warp')


def test_printing_a_config_that_is_not_there_is_refused(bench, refused):
    assert 'nothere.py does not exist' in refused('print_config', 'nothere.py')
