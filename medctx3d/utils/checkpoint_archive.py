"""The archive that a ``.pth`` file is, looked through before torch opens it."""

from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path

_START = b'PK\x03\x04'
_MEMBERS = re.compile(
    r'data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id'
)
"""What ``torch.save`` writes, below one folder."""


class ArchiveError(ValueError):
    """A file that ``torch.save`` would not have written."""


def check_archive(path: Path) -> None:
    """Refuse an archive with anything but what ``torch.save`` writes.

    The directory is judged first, then every member is read once and compared with its checksum, which torch itself
    does not do: a changed byte would become a changed weight. Members are stored as they are, never compressed, so
    nothing grows when it is read; nothing is ever extracted.

    Args:
        path: A ``.pth`` file.

    Raises:
        ArchiveError: It is no such archive, is truncated, or holds a member that is foreign, compressed, there twice,
            a link, damaged, or one that leads out of the archive; the message has its name.
    """
    with open(path, 'rb') as file:
        if file.read(len(_START)) != _START:
            raise ArchiveError(
                'it cannot be read: it is no archive of torch.save (torch 1.6 or newer), but truncated, damaged or of '
                'another kind. Copy it again; an older checkpoint you trust, convert in an environment of its own'
            )
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        size = path.stat().st_size
        raise ArchiveError(
            f'it is truncated or damaged and cannot be read ({error}; {size} bytes). Copy it again, or use the '
            'checkpoint before it'
        ) from None
    folder = members[0].filename.partition('/')[0] if members else ''
    seen: set[str] = set()
    for member in members:
        if problem := _problem(member, folder, seen):
            raise ArchiveError(f'its member {member.filename!r} {problem}. Get the file from where it was published')
        seen.add(member.filename)
    stored = sum(member.file_size for member in members)
    if stored > path.stat().st_size:
        raise ArchiveError(f'its members overlap: {stored} bytes in a file of {path.stat().st_size}')
    if any(member.CRC for member in members):  # all are 0 after torch.serialization.set_crc32_options(False)
        _check_content(path)


def _check_content(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (EOFError, RuntimeError, NotImplementedError) as error:  # flags that torch.save does not set
        raise ArchiveError(f'it is damaged: {error}. Copy it anew, or use the checkpoint before it') from None
    if damaged is not None:
        raise ArchiveError(
            f'it is damaged: the bytes of its member {damaged!r} do not match their checksum (CRC-32). Copy it anew, '
            'or use the checkpoint before it'
        )


def _problem(member: zipfile.ZipInfo, folder: str, seen: set[str]) -> str:
    top, _, name = member.filename.partition('/')
    if stat.S_ISLNK(member.external_attr >> 16):
        return 'is a link'
    if top != folder or top in ('', '.', '..') or '..' in name.split('/'):
        return f'leads out of the folder {folder!r} of the archive'
    if _MEMBERS.fullmatch(name) is None:
        return 'is none of those that torch.save writes' + (' (TorchScript is code)' if 'code/' in name else '')
    if member.filename in seen:
        return 'is there twice'
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        return f'is compressed, to {member.compress_size} of {member.file_size} bytes'
    return ''
