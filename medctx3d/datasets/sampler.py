"""Which draw comes when, on every rank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from functools import lru_cache

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from medctx3d.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler[int]):
    """One endless stream of shuffled epochs, dealt to the ranks in turn.

    The stream's position ``p`` lies in epoch ``e = p // n``, ``n`` being the dataset's length, and gives the draw
    ``e * n + index``. Rank ``r`` of ``w`` takes the positions with ``p % w == r``: nothing is repeated or left out,
    and ``w`` processes with batch ``B`` see together what one process with batch ``w * B`` sees. The dataset makes
    the epoch part of each draw's seed, so crops differ from epoch to epoch whoever loads them.

    Args:
        dataset: Its length is what counts.
        seed: Of the order; mmengine's Runner passes its own. None, which the Runner passes with ``diff_rank_seed``,
            takes the dataset's ``seed``, the same on every rank; without one the ranks agree on a random number.
        shuffle: False takes every epoch in the dataset's order.
        infinite: True never ends, for loops that count iterations. False ends after ``ceil(n / w)`` draws, equally
            many on every rank, and ``set_epoch`` goes on in the stream where the epoch before ended.
        start: Draws of the whole stream (all ranks together) to skip, a multiple of the number of ranks.

    Raises:
        ValueError: The dataset is empty, or ``start`` is negative or no multiple of the number of ranks.

    Example:
        >>> sampler = SeededSampler(range(3), seed=0, shuffle=False)
        >>> [draw for draw, _ in zip(sampler, range(5))]
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self, dataset: Sized, seed: int | None = None, *, shuffle: bool = True, infinite: bool = True, start: int = 0
    ) -> None:
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        if self.size == 0:
            raise ValueError('SeededSampler got an empty dataset: it has nothing to draw')
        if seed is None:
            seed = getattr(dataset, 'seed', None)
        self.seed = int(sync_random_seed()) if seed is None else seed
        self.shuffle = shuffle
        self.infinite = infinite
        self.start = checked_start(start, self.world_size)
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        position = self.start + self.rank
        stop = math.inf
        if not self.infinite:
            position += self.epoch * len(self) * self.world_size
            stop = position + len(self) * self.world_size
        epoch, order = -1, np.empty(0, dtype=int)
        while position < stop:
            if position // self.size != epoch:
                epoch = position // self.size
                order = self._order(epoch)
            yield epoch * self.size + int(order[position % self.size])
            position += self.world_size

    def __len__(self) -> int:
        """Draws per epoch and rank."""
        return math.ceil(self.size / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration of a sampler that ends; mmengine's loops call it."""
        self.epoch = epoch

    def _order(self, epoch: int) -> np.ndarray:
        return epoch_order(self.size, (self.seed, epoch)) if self.shuffle else np.arange(self.size)


def checked_start(start: int, ranks: int) -> int:
    """``start`` if every rank can skip its share of it."""
    if start < 0 or start % ranks:
        raise ValueError(f'start must be a multiple of the {ranks} rank(s) and not negative, got {start}')
    return start


@lru_cache(maxsize=8)  # a stream asks for the same epoch once per draw
def epoch_order(size: int, entropy: tuple[int, ...]) -> np.ndarray:
    """A permutation of ``size``, a function of ``entropy`` alone."""
    # RandomState, because numpy promises that its stream never changes.
    return np.random.RandomState(np.random.SeedSequence(entropy).generate_state(4)).permutation(size)
