"""What each rank of a job was doing last, and when, as all others can see."""

from __future__ import annotations

import json
import socket
import time
from typing import NamedTuple

from mmengine.dist import get_dist_info
from torch.distributed import PrefixStore
from torch.distributed.distributed_c10d import _get_default_store


class Heartbeat(NamedTuple):
    """The last sign of life of a rank.

    Attributes:
        rank: Its number.
        host: Its machine; empty where it never gave a sign.
        doing: In words.
        age: s since then, by the clocks of two machines.
    """

    rank: int
    host: str
    doing: str
    age: float

    def __str__(self) -> str:
        if not self.host:
            return f'rank {self.rank}: no sign of life'
        return f'rank {self.rank} on {self.host}: last sign of life {self.age:.0f} s ago, {self.doing}'


class Heartbeats:
    """Signs of life through the store in which the ranks found each other; for a process by itself, only its own.

    It has a connection of its own, so that a thread can use it whatever the main thread waits for.
    """

    def __init__(self) -> None:
        self.rank, self.world_size = get_dist_info()
        self._own = ''
        self._store: PrefixStore | None = None
        if self.world_size > 1:
            store = _get_default_store()
            self._store = PrefixStore('heartbeats', store.clone() if hasattr(store, 'clone') else store)

    def give(self, doing: str) -> None:
        """Tell the others that this rank lives."""
        self._own = json.dumps([socket.gethostname(), doing, time.time()])
        if self._store is not None:
            self._store.set(str(self.rank), self._own)

    def all(self) -> list[Heartbeat]:
        """Of every rank, the one that was silent longest first.

        Raises:
            RuntimeError: The store is gone, and with it the process that holds it.
        """
        found = []
        for rank in range(self.world_size):
            written = self._own if rank == self.rank else self._read(rank)
            host, doing, when = json.loads(written) if written else ('', '', 0.0)
            found.append(Heartbeat(rank, host, doing, time.time() - when))
        return sorted(found, key=lambda heartbeat: -heartbeat.age)

    def _read(self, rank: int) -> str:
        assert self._store is not None, 'other ranks exist only with a store'
        key = str(rank)
        return self._store.get(key).decode() if self._store.check([key]) else ''
