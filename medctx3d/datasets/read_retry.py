"""Reading again from a file system that was away for a moment."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from mmengine.logging import print_log

from medctx3d.registry import TASK_UTILS

Read = TypeVar('Read')
# What NFS, Lustre, SMB and FUSE answer while a server restarts or a connection breaks.
TRANSIENT = (
    'EAGAIN',
    'ECONNABORTED',
    'ECONNREFUSED',
    'ECONNRESET',
    'EHOSTDOWN',
    'EHOSTUNREACH',
    'EIO',
    'ENETDOWN',
    'ENETUNREACH',
    'ENOTCONN',
    'EREMOTEIO',
    'ESHUTDOWN',
    'ESTALE',
    'ETIMEDOUT',
)


@TASK_UTILS.register_module()
class ReadRetry:
    """Repeat a draw that failed because its files could not be reached.

    A draw is a function of its number, so that the second attempt gives what the first would have given. Errors that
    repeating does not mend, such as a file that breaks a rule, are passed on at once, and so is a missing file unless
    it is listed in ``also``.

    Args:
        attempts: How often a draw is tried in all.
        wait: s before the second attempt; each further wait is twice as long.
        also: Names of further error numbers, such as ``'ENOENT'`` for file systems on which files appear late.

    Raises:
        ValueError: ``attempts`` is below 2, ``wait`` negative, or a name unknown.
    """

    def __init__(self, attempts: int = 5, wait: float = 5.0, *, also: Sequence[str] = ()) -> None:
        if attempts < 2:
            raise ValueError(f'ReadRetry: attempts must be at least 2 (without retry=: one), got {attempts}')
        if wait < 0:
            raise ValueError(f'ReadRetry: wait must not be negative, got {wait} s')
        unknown = [name for name in also if not hasattr(errno, name)]
        if unknown:
            raise ValueError(f"ReadRetry: also must hold names of error numbers such as 'ENOENT', got {unknown}")
        self.attempts = attempts
        self.wait = wait
        names = [name for name in (*TRANSIENT, *also) if hasattr(errno, name)]
        self._numbers = {getattr(errno, name) for name in names}

    def __call__(self, read: Callable[[], Read], case: str) -> Read:
        """The answer of ``read``, tried as often as it takes and is allowed.

        Args:
            read: Without arguments.
            case: For the log.

        Raises:
            OSError: The last attempt failed too, or the error is none that passes.
        """
        for attempt in range(1, self.attempts):
            try:
                return read()
            except OSError as error:
                if not self._passes(error):
                    raise
                wait = self.wait * 2 ** (attempt - 1)
                which = f'case {case!r}: attempt {attempt} of {self.attempts} to read it'
                print_log(f'{which} failed ({error}); again in {wait:g} s', logger='current', level=logging.WARNING)
                time.sleep(wait)
        return read()

    def _passes(self, error: OSError) -> bool:
        number = errno.ENOENT if isinstance(error, FileNotFoundError) else error.errno
        return number in self._numbers
