"""Who works on a job: a lock that ends with the processes that hold it, however they end."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def claim(folder: str | os.PathLike[str]) -> int | None:
    """Take a folder for oneself.

    The lock belongs to the open file, so a child process that inherits the descriptor keeps it when its parent is
    killed, and the kernel frees it once the last holder is gone: there is no stale claim to detect. It holds between
    machines where their shared file system supports ``flock``, as NFS does.

    Args:
        folder: Made where missing.

    Returns:
        A file descriptor, to be given to :func:`release` (or to a child process); None if somebody has it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / 'claim.lock', os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def release(descriptor: int) -> None:
    """Close the claim; it is free once every process that inherited it has ended."""
    os.close(descriptor)
