"""Where results go when nobody says so."""

import pytest
from mmengine.config import Config

from medctx3d.engine.launch import default_work_dir


@pytest.mark.parametrize(
    ('path', 'folder'),
    [
        ('configs/unet/unet_hippocampus.py', 'work_dirs/unet/unet_hippocampus'),
        ('/some/configs/medcontext/unet_hippocampus.py', 'work_dirs/medcontext/unet_hippocampus'),
        ('/some/where/mine.v2.py', 'work_dirs/mine.v2'),
    ],
)
def test_configs_of_one_name_in_two_folders_do_not_share_a_folder(path, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_work_dir(Config(), path, None) == folder


def test_who_names_a_folder_gets_it():
    assert default_work_dir(Config(dict(work_dir='b')), 'configs/unet/x.py', 'a') == 'a'
    assert default_work_dir(Config(dict(work_dir='b')), 'configs/unet/x.py', None) == 'b'
