"""What every thread of this process and every worker process is doing, without their help."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path

_PATIENCE = 2.0  # s that a worker is given to write; one that waits for a disk does not


class StackCollector:
    """Collects call stacks of this process and of the worker processes of its loaders.

    Python's ``faulthandler`` writes them from a signal's handler, so that a process which hangs in C code answers too.
    Processes that are forked later inherit the handler with the file to write to; those that do not have it are not
    signalled, because the signal would end them. To be made before the loaders start.

    Workers are asked on Linux only, where ``/proc`` says who has a handler.
    """

    def __init__(self) -> None:
        self._answers = tempfile.TemporaryFile()  # noqa: SIM115 - workers write to it as long as they live
        self._signal = getattr(signal, 'SIGUSR2', None)
        if self._signal is not None:
            faulthandler.register(self._signal, file=self._answers, all_threads=True, chain=False)

    def collect(self) -> str:
        """Stacks in words, process by process; may be called from any thread."""
        parts = [f'process {os.getpid()} (main):\n{self._written_by_this_process()}']
        for worker in multiprocessing.active_children():
            if worker.pid is not None:
                parts.append(f'process {worker.pid} ({worker.name}):\n{self._asked(worker.pid)}')
        return '\n'.join(parts)

    def _written_by_this_process(self) -> str:
        with tempfile.TemporaryFile() as answer:
            faulthandler.dump_traceback(file=answer, all_threads=True)
            answer.seek(0)
            return answer.read().decode(errors='replace')

    def _asked(self, pid: int) -> str:
        if self._signal is None or not _listens(pid, self._signal):
            return 'not asked: it has no handler\n'
        begin = os.fstat(self._answers.fileno()).st_size
        os.kill(pid, self._signal)
        until, length = time.monotonic() + _PATIENCE, -1
        while time.monotonic() < until:
            time.sleep(0.1)
            before, length = length, os.fstat(self._answers.fileno()).st_size
            if begin < length == before:
                return os.pread(self._answers.fileno(), length - begin, begin).decode(errors='replace')
        return f'no answer within {_PATIENCE:g} s: it is stopped, or waits for a disk\n'


def _listens(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; False where the system does not say."""
    try:
        status = Path(f'/proc/{pid}/status').read_text(encoding='utf-8')
    except OSError:  # no Linux, or it has just ended
        return False
    caught = next(line for line in status.splitlines() if line.startswith('SigCgt'))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
