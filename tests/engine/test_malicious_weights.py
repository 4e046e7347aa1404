"""Weights that would do harm: each is refused by name and reason, nothing of it runs and nothing is written."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save

from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file

FLOAT = dict(dtype='F32', shape=[10])


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.trace,)


def saved(content: object, **how: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


GOOD = saved({'state_dict': {'weight': torch.zeros(10)}})


def rewritten(
    edit: Callable[[str, bytes], bytes] = lambda name, data: data,
    *,
    add: tuple[tuple[str, bytes], ...] = (),
    mode: int = 0,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """The good checkpoint with members changed or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as source, zipfile.ZipFile(buffer, 'w', compression) as target:
        for name in source.namelist():
            target.writestr(name, edit(name, source.read(name)))
        for name, data in add:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            target.writestr(member, data)
    return buffer.getvalue()


def safetensors(header: dict | bytes, body: bytes = bytes(40), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text) if length is None else length) + text + body


def at(begin: int, end: int, **changes: object) -> dict:
    return {**FLOAT, 'data_offsets': [begin, end], **changes}


def of_pickled(name: str, data: bytes) -> bytes:
    return data if not name.endswith('data.pkl') else data.replace(b'K\x0a', b'K\xff')


twin = b'{"a":%s,"a":%s}' % ((json.dumps(at(0, 40)).encode(),) * 2)
FILES: dict[str, tuple[str, Callable[[str], bytes], str]] = {  # name -> suffix, content by trace, reason
    'pickled code': ('.pth', lambda trace: saved({'state_dict': {}, 'x': Bomb(trace)}), r'holds (posix|nt)\.mkdir'),
    'pickled code, legacy form': (
        '.pth',
        lambda trace: saved(Bomb(trace), _use_new_zipfile_serialization=False),
        r'no archive of torch\.save',
    ),
    'bare pickle': ('.pth', lambda trace: pickle.dumps(Bomb(trace)), r'no archive of torch\.save'),
    'pickle called safetensors': ('.safetensors', lambda trace: pickle.dumps(Bomb(trace)), 'cannot be read'),
    'checkpoint called safetensors': ('.safetensors', lambda trace: saved(Bomb(trace)), 'cannot be read'),
    'page called checkpoint': ('.pth', lambda _: b'<!doctype html><p>404', r'no archive of torch\.save'),
    'code beside the weights': (
        '.pth',
        lambda _: rewritten(add=(('archive/code/__torch__.py', b'import os'),)),
        r"'archive/code/__torch__\.py' is none of those .*TorchScript is code",
    ),
    'member above the archive': (
        '.pth',
        lambda _: rewritten(add=(('../../.bashrc', b'touch x'),)),
        r"'\.\./\.\./\.bashrc' leads out",
    ),
    'absolute member': ('.pth', lambda _: rewritten(add=(('/etc/cron.d/x', b'x'),)), "'/etc/cron.d/x' leads out"),
    'hidden climb': ('.pth', lambda _: rewritten(add=(('archive/data/../../x', b'x'),)), 'leads out'),
    'link': ('.pth', lambda _: rewritten(add=(('archive/data/9', b'/etc'),), mode=stat.S_IFLNK), 'is a link'),
    'member twice': ('.pth', lambda _: rewritten(add=(('archive/version', b'3\n'),)), 'is there twice'),
    'zip bomb': (
        '.pth',
        lambda _: rewritten(
            lambda name, data: bytes(2**24) if name.endswith('data/0') else data, compression=zipfile.ZIP_DEFLATED
        ),
        r'is compressed, to \d+ of',
    ),
    'tensor beyond its bytes': ('.pth', lambda _: rewritten(of_pickled), r'cannot be read .*size'),
    'cut archive': ('.pth', lambda _: GOOD[: len(GOOD) // 2], 'truncated'),
    'list for weights': ('.pth', lambda _: saved([1, 2]), 'holds a list'),
    'oversized header': ('.safetensors', lambda _: safetensors({'a': at(0, 40)}, length=2**62), 'header too large'),
    'header beyond the file': ('.safetensors', lambda _: safetensors({'a': at(0, 40)}, length=10**6), 'header length'),
    'header that nests': ('.safetensors', lambda _: safetensors(b'{"a":' + b'[' * 10**5 + b'}'), 'recursion limit'),
    'overlapping tensors': ('.safetensors', lambda _: safetensors({'a': at(0, 40), 'b': at(20, 60)}), 'offset'),
    'tensor beyond the file': ('.safetensors', lambda _: safetensors({'a': at(0, 4000, shape=[1000])}), 'covered'),
    'shape that overflows': ('.safetensors', lambda _: safetensors({'a': at(0, 40, shape=[2**40] * 2)}), 'overflow'),
    'hidden bytes': ('.safetensors', lambda _: safetensors({'a': at(0, 40)}, bytes(400)), 'covered'),
    'name twice': ('.safetensors', lambda _: safetensors(twin), "has 'a' twice"),
}


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize('name', FILES)
def test_file_is_refused_with_its_name_and_the_reason(name: str, tmp_path: Path) -> None:
    suffix, content, reason = FILES[name]
    folder, trace = tmp_path / 'folder', tmp_path / 'trace'
    folder.mkdir()
    path = folder / f'weights{suffix}'
    path.write_bytes(content(str(trace)))
    with pytest.raises(CheckpointError, match=rf'(?s)weights{suffix} .*{reason}'):
        load_checkpoint_file(path)
    with pytest.raises(CheckpointError):
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert not trace.exists()
    assert [each.name for each in tmp_path.rglob('*')] == ['folder', path.name]


def test_bombs_go_off_without_our_loader(tmp_path: Path) -> None:
    """The control: these files do run code where anything is unpickled."""
    for count, name in enumerate(('pickled code', 'pickled code, legacy form')):
        trace = tmp_path / str(count)
        torch.load(io.BytesIO(FILES[name][1](str(trace))), weights_only=False)
        assert trace.is_dir()


def test_a_link_to_something_else_shows_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / 'secret').write_text('password', encoding='utf-8')
    for suffix in ('.pth', '.safetensors'):
        link = tmp_path / f'weights{suffix}'
        link.symlink_to(tmp_path / 'secret')
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint_file(link)
        assert 'password' not in str(caught.value)


def test_good_files_of_both_forms_load(tmp_path: Path) -> None:
    (tmp_path / 'good.pth').write_bytes(GOOD)
    (tmp_path / 'good.safetensors').write_bytes(save({'weight': torch.zeros(10)}))
    (tmp_path / 'rewritten.pth').write_bytes(rewritten())  # the helper itself breaks nothing
    for name in ('good.pth', 'good.safetensors', 'rewritten.pth'):
        assert torch.equal(load_checkpoint_file(tmp_path / name)['state_dict']['weight'], torch.zeros(10))


def test_every_scheme_of_mmengine_ends_at_our_loader() -> None:
    """``openmmlab://`` and its like download and unpickle in mmengine itself."""
    for prefix in CheckpointLoader._schemes:
        name = prefix.replace(r'(\S+\:)?', '') + 'somewhere/x.pth'
        with pytest.raises((CheckpointError, FileNotFoundError), match=r'not loaded from the network|does not exist'):
            CheckpointLoader.load_checkpoint(name)
    assert {loader.__module__ for loader in CheckpointLoader._schemes.values()} == {'medctx3d.engine.checkpoint'}


@pytest.mark.parametrize('member', ['data/0', 'data.pkl', 'version'])
def test_one_changed_bit_in_any_member_is_noticed(member: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(member))
        place = GOOD.index(archive.read(name), archive.getinfo(name).header_offset + 30)
    path = tmp_path / 'weights.pth'
    path.write_bytes(GOOD[:place] + bytes([GOOD[place] ^ 1]) + GOOD[place + 1 :])
    for where in ('cpu', 'meta'):
        with pytest.raises(CheckpointError, match=rf"weights\.pth .*is damaged: .*'{name}' .*anew, or use"):
            load_checkpoint_file(path, where)


def test_files_that_were_written_without_checksums_load(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        (tmp_path / 'good.pth').write_bytes(saved({'state_dict': {'weight': torch.ones(10)}}))
    finally:
        torch.serialization.set_crc32_options(before)
    assert torch.equal(load_checkpoint_file(tmp_path / 'good.pth')['state_dict']['weight'], torch.ones(10))
