"""Who works on something: a lock that ends with the processes that hold it, however they end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == 'win32':
    import msvcrt
else:
    import fcntl


def claim(path: str | os.PathLike[str], *, wait: bool = False) -> int | None:
    """Take a lock file for oneself.

    The lock belongs to the open file, so a child process that inherits the descriptor keeps it when its parent is
    killed, and the kernel frees it once the last holder is gone: there is no stale claim to detect. It holds between
    machines where their shared file system supports ``flock``, as NFS does. (On Windows it belongs to the process.)

    Args:
        path: The file; it and its folder are made where missing.
        wait: Wait until it is free.

    Returns:
        A file descriptor, to be given to :func:`release` (or to a child process); None if somebody has it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if sys.platform == 'win32':
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    return descriptor


def release(descriptor: int) -> None:
    """Close the claim; it is free once every process that inherited it has ended."""
    os.close(descriptor)
