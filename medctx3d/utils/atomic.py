"""Write files so that a reader finds the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, 'EDQUOT') else (errno.ENOSPC,)
DRAFT = '.tmp-'  # begins the names of files that are being written
_PROBE = 4096  # bytes, a block: on a full disk an empty file can still be made


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` once the block ends without an error.

    The temporary file lies hidden in the folder of ``path`` (which is made where missing) and keeps the whole name as
    its ending, so that writers which choose a format by suffix, such as ``.nii.gz``, choose the same.

    Args:
        path: Where the finished file belongs.

    Yields:
        Path of the temporary file, not yet there.

    Raises:
        FileNotFoundError: The block ended without writing to the path it was given.
        OSError: The disk is full, or the folder cannot be written to; ``path`` is then as it was before.

    Example:
        >>> with atomic_path('results.json') as temporary:
        ...     temporary.write_text('{}')
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{DRAFT}{secrets.token_hex(4)}-{path.name}')
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(
                f'{path}: nothing was written; write to the path that atomic_path gives, got no file {temporary.name}'
            )
        _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or (error.filename is not None and error.errno not in _FULL):
            raise
        raise OSError(error.errno, f'{os.strerror(error.errno)}; what was there before is whole', str(path)) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    if os.name == 'posix':  # the rename itself lasts only once the folder is flushed
        _flush(path.parent)


def require_writable(folder: str | os.PathLike[str], role: str) -> Path:
    """Make a folder for results and see that files can be written to it, before hours are spent on them.

    Args:
        folder: Made where missing.
        role: What it is, for the message, such as ``--out``.

    Raises:
        OSError: It cannot be made or written to; the message has the reason.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE))
            probe.flush()
    except OSError as error:
        why = 'it is a file' if folder.is_file() else os.strerror(error.errno or 0)
        fix = 'free some space, or choose' if error.errno in _FULL else 'choose'
        raise OSError(f'{role} {folder} must be a folder that can be written to: {why}; {fix} another') from error
    return folder


def _flush(path: Path) -> None:
    """Wait until the disk has a file's or a folder's content."""
    descriptor = os.open(path, os.O_RDONLY if os.name == 'posix' else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
