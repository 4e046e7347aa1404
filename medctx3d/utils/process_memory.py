"""How much memory this process holds."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_PROCESS = Path('/proc/self')


def held_memory() -> int:
    """Bytes of physical memory that this process holds now; its peak where the system does not say (not Linux)."""
    return _status('VmRSS') or peak_memory()


def peak_memory() -> int:
    """Most bytes that this process held so far, or since :func:`forget_peak`."""
    unit = 1 if sys.platform == 'darwin' else 2**10
    return _status('VmHWM') or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def proportional_memory(process: int) -> int:
    """Bytes of physical memory of a process, its part only of what it shares with others; 0 where nobody says."""
    try:
        stated = Path(f'/proc/{process}/smaps_rollup').read_text(encoding='ascii')
    except OSError:
        return 0
    found = re.search(r'^Pss:\s+(\d+) kB', stated, re.MULTILINE)
    return int(found[1]) * 2**10 if found else 0


def forget_peak() -> bool:
    """Let the peak begin anew.

    Returns:
        Whether the system can do that; without it the peak is that since the process began.
    """
    try:
        (_PROCESS / 'clear_refs').write_text('5')
    except OSError:
        return False
    return True


def _status(key: str) -> int:
    """A figure of Linux about this process in bytes, 0 where there is none."""
    try:
        found = re.search(rf'^{key}:\s+(\d+) kB', (_PROCESS / 'status').read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 2**10 if found else 0
