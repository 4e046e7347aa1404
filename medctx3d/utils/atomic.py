"""Write files so that a reader finds the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
    temporary = path.with_name(f'.tmp-{secrets.token_hex(4)}-{path.name}')
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(
                f'{path}: nothing was written; write to the path that atomic_path gives, got no file {temporary.name}'
            )
        _flush(temporary)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    if os.name == 'posix':  # the rename itself lasts only once the folder is flushed
        _flush(path.parent)


def _flush(path: Path) -> None:
    """Wait until the disk has a file's or a folder's content."""
    descriptor = os.open(path, os.O_RDONLY if os.name == 'posix' else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
