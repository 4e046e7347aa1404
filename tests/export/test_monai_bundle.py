"""A bundle: MONAI runs it alone, and segments as this package does."""

from __future__ import annotations

import glob
import json
import os

import nibabel as nib
import numpy as np
import pytest
from helpers_export import make_config, run_tool, save_run, save_scan

from medctx3d.export.monai_bundle import inference_workflow, preprocessing

AFFINES = {
    'same spacing': np.diag([-1.0, -1.0, 2.0, 1.0]),
    'turned, anisotropic': np.array([[0, 1.5, 0, 3], [0.8, 0, 0, -5], [0, 0, -2.5, 9], [0, 0, 0, 1]]),
}
REQUIRED = {  # of MONAI's schema for metadata.json, with the types it asks for
    'schema': str,
    'version': str,
    'changelog': dict,
    'monai_version': str,
    'pytorch_version': str,
    'numpy_version': str,
    'required_packages_version': dict,
    'task': str,
    'description': str,
    'authorship': str,
    'copyright': str,
    'network_data_format': dict,
}


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Config, checkpoint, and the bundle made of them."""
    root = tmp_path_factory.mktemp('run')
    config, checkpoint = save_run(root)
    options = ('--format', 'monai-bundle', '--out', root / 'bundle', '--licence', 'CC0-1.0')
    run_tool('export_model.py', config, checkpoint, *options)
    return config, checkpoint, root / 'bundle'


def read(path):
    return json.loads(path.read_text(encoding='utf-8'))


def run_bundle(bundle, scans, out):
    bundles = pytest.importorskip('monai.bundle')
    pytest.importorskip('ignite')
    workflow = bundles.ConfigWorkflow(
        config_file=str(bundle / 'configs' / 'inference.json'),
        meta_file=str(bundle / 'configs' / 'metadata.json'),
        workflow_type='infer',
        logging_file=False,
        bundle_root=str(bundle),
        dataset_dir=str(scans),
        output_dir=str(out),
    )
    workflow.initialize()
    assert not workflow.check_properties()
    workflow.run()
    workflow.finalize()


def test_monai_alone_segments_as_this_package_does(tmp_path, exported):
    config, checkpoint, bundle = exported
    for name, affine in AFFINES.items():
        save_scan(tmp_path / 'scans' / f'{name}.nii.gz', affine=affine)
    run_bundle(bundle, tmp_path / 'scans', tmp_path / 'theirs')
    run_tool('infer.py', config, checkpoint, tmp_path / 'scans', '--out', tmp_path / 'ours', '--device', 'cpu')
    for name, least in (('same spacing', 1.0), ('turned, anisotropic', 0.999)):
        theirs, ours = (nib.load(tmp_path / folder / f'{name}.nii.gz') for folder in ('theirs', 'ours'))
        np.testing.assert_allclose(theirs.affine, ours.affine, atol=1e-6)
        agree = np.asarray(theirs.dataobj) == np.asarray(ours.dataobj)
        assert agree.mean() >= least, name
        assert len(np.unique(np.asarray(theirs.dataobj))) > 1


def test_no_file_of_a_bundle_names_this_package_but_as_its_author(exported):
    *_, bundle = exported
    assert 'medctx3d' not in (bundle / 'configs' / 'inference.json').read_text(encoding='utf-8')
    assert 'CC0-1.0' in (bundle / 'LICENSE').read_text(encoding='utf-8')
    assert '- 2 far' in (bundle / 'docs' / 'README.md').read_text(encoding='utf-8')
    assert str(bundle.parent) not in ''.join(
        path.read_text(encoding='utf-8') for path in bundle.rglob('*') if path.suffix in ('.json', '.md')
    )


def test_the_metadata_has_what_the_schema_of_monai_asks_for(exported):
    *_, bundle = exported
    metadata = read(bundle / 'configs' / 'metadata.json')
    assert {key: type(metadata.get(key)) for key in REQUIRED} == REQUIRED
    image = metadata['network_data_format']['inputs']['image']
    labels = metadata['network_data_format']['outputs']['pred']
    assert image['spatial_shape'] == [16, 16, 16]
    assert (image['num_channels'], image['format'], image['modality']) == (1, 'hounsfield', 'CT')
    assert (labels['num_channels'], labels['channel_def']['2']) == (3, 'far')


def test_monai_finds_the_network_as_the_metadata_says(exported):
    bundles = pytest.importorskip('monai.bundle')
    *_, bundle = exported
    bundles.verify_net_in_out(
        net_id='network_def',
        meta_file=str(bundle / 'configs' / 'metadata.json'),
        config_file=str(bundle / 'configs' / 'inference.json'),
        device='cpu',
        bundle_root=str(bundle),
    )


def test_what_monai_does_not_have_is_refused_with_its_name(tmp_path):
    with pytest.raises(ValueError, match=r'load pipeline has OwnTransform: replace it'):
        preprocessing([dict(type='LoadVolume'), dict(type='OwnTransform')])
    config, checkpoint = save_run(tmp_path, postprocessing=[dict(type='FillHoles', classes=(1,))])
    with pytest.raises(ValueError, match=r'model\.postprocessing would be left out'):
        run_tool('export_model.py', config, checkpoint, '--format', 'monai-bundle', '--out', tmp_path / 'bundle')
    assert not (tmp_path / 'bundle').exists()


def test_transforms_of_labels_are_left_out_and_arguments_per_key_are_those_of_the_image():
    first, kept, last = preprocessing(
        [
            dict(type='monai.transforms.Lambdad', keys='label', func=None),
            dict(type='monai.transforms.Spacingd', keys=['label', 'image'], pixdim=[1, 1, 2], mode=['nearest', 3]),
        ]
    )
    assert (first['_target_'], last['_target_']) == ('LoadImaged', 'EnsureTyped')
    assert kept == {'_target_': 'monai.transforms.Spacingd', 'keys': 'image', 'pixdim': [1, 1, 2], 'mode': 3}


def test_several_channels_are_files_of_one_case(tmp_path):
    facts = dict(channels=['T1', 'T2'], preprocessing=[], window=[16, 16, 16])
    for name in ('a_0000', 'a_0001', 'b_0000', 'b_0001'):
        (tmp_path / f'{name}.nii.gz').touch()
    listing = inference_workflow(make_config(tmp_path), facts)['datalist']
    found = eval(listing[1:].replace('@dataset_dir', repr(str(tmp_path))), dict(glob=glob, os=os))
    assert found == [[str(tmp_path / f'{case}_000{c}.nii.gz') for c in range(2)] for case in 'ab']


def test_a_folder_that_holds_a_bundle_is_refused(exported):
    config, checkpoint, bundle = exported
    with pytest.raises(FileExistsError, match='holds a bundle already'):
        run_tool('export_model.py', config, checkpoint, '--format', 'monai-bundle', '--out', bundle)
