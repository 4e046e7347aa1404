"""Being told to stop, as by a cluster that takes its machine back."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import torch
from torch import distributed


class Preempted(Exception):  # noqa: N818 - an end like KeyboardInterrupt, no error
    """Training ended because the process was told to stop; a checkpoint of the last step is written.

    Args:
        received: The signal's name; empty where another rank received it.
        done: Iterations that are done.
        total: Iterations of the whole training.
    """

    def __init__(self, received: str, done: int, total: int) -> None:
        self.done = done
        super().__init__(
            f'stopped by {received or "a signal to another process"} after iteration {done} of {total}, '
            'resume with --resume'
        )


class StopRequest:
    """Notes signals, and lets all ranks agree on the iteration after which they stop.

    A signal may arrive at any moment and at any rank; the training looks for it where its state is whole.

    Args:
        names: Such as ``SIGTERM``. Linux and macOS have them all; where the system lacks one it is left out.

    Raises:
        ValueError: A name is no signal's.
    """

    def __init__(self, names: Sequence[str] = ('SIGTERM',)) -> None:
        unknown = [name for name in names if not (name.startswith('SIG') and name.isupper())]
        if unknown:
            raise ValueError(f"stop_signals must be names of signals such as 'SIGTERM' or 'SIGUSR1', got {unknown}")
        self.names = tuple(names)
        self.received = ''
        self._group: distributed.ProcessGroup | None = None

    def listen(self) -> None:
        """Take the signals over; to be called by all ranks, in the main thread, once the process group is there."""
        for name in self.names:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._note)
        if _ranks() > 1:  # on the CPU, so that asking does not wait for the GPU
            self._group = distributed.new_group(backend='gloo')

    def agreed(self) -> bool:
        """Whether any rank was told to stop; all ranks must ask equally often."""
        if self._group is None:
            return bool(self.received)
        asked = torch.tensor(int(bool(self.received)))
        distributed.all_reduce(asked, op=distributed.ReduceOp.MAX, group=self._group)
        return bool(asked)

    def _note(self, number: int, frame: object) -> None:
        self.received = signal.Signals(number).name


def _ranks() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
