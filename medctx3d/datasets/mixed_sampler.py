"""Labelled and unlabelled volumes in a fixed proportion."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from medctx3d.datasets.sampler import checked_start, epoch_order
from medctx3d.datasets.volume_dataset import VolumeDataset
from medctx3d.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class MixedSampler(Sampler[int]):
    """One endless stream of blocks, each of ``labelled`` draws with truth and then ``unlabelled`` without.

    Either kind has shuffled epochs of its own, so a handful of labelled volumes comes round often and a heap of
    unlabelled ones rarely. Blocks are dealt to the ranks in turn; a batch whose size is a multiple of
    ``labelled + unlabelled`` therefore holds the stated proportion on every rank.

    Args:
        dataset: With volumes of both kinds: ``VolumeDataset(unlabelled_split=...)``, or a list with entries without
            ``label``.
        seed: Of the order; see :class:`~medctx3d.datasets.SeededSampler`.
        labelled: Draws with truth per block.
        unlabelled: Draws without truth per block.
        start: Draws of the whole stream (all ranks together) to skip, a multiple of the number of ranks.

    Raises:
        TypeError: The dataset is no :class:`~medctx3d.datasets.VolumeDataset`.
        ValueError: A number below 1, one of the two kinds is missing, or ``start`` is negative or no multiple of the
            number of ranks.
    """

    def __init__(
        self,
        dataset: VolumeDataset,
        seed: int | None = None,
        *,
        labelled: int = 1,
        unlabelled: int = 1,
        start: int = 0,
    ) -> None:
        if not isinstance(dataset, VolumeDataset):
            raise TypeError(
                f'MixedSampler needs a VolumeDataset, which knows its labels: got {type(dataset).__name__}'
            )
        if labelled < 1 or unlabelled < 1:
            raise ValueError(
                f'MixedSampler: labelled and unlabelled must be 1 or more, got {labelled} and {unlabelled}; without '
                'unlabelled volumes use SeededSampler'
            )
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        self.pools = dataset.labelled_draws()
        for pool, kind in zip(self.pools, ('with', 'without'), strict=True):
            if not pool:
                raise ValueError(
                    f'MixedSampler: the data set has no volume {kind} a label. Set unlabelled_split to a list of the '
                    'same file, or use SeededSampler'
                )
        self.per_block = (labelled, unlabelled)
        self.start = checked_start(start, self.world_size)
        seed = dataset.seed if seed is None else seed
        self.seed = int(sync_random_seed()) if seed is None else seed

    def __iter__(self) -> Iterator[int]:
        done, inside = divmod(self.start // self.world_size, sum(self.per_block))  # blocks of this rank, and draws
        for block in itertools.count(self.rank + done * self.world_size, self.world_size):
            yield from itertools.islice(self._block(block), inside, None)
            inside = 0

    def __len__(self) -> int:
        """Draws per rank until every labelled volume was seen once."""
        blocks = -(-len(self.pools[0]) // (self.per_block[0] * self.world_size))
        return blocks * sum(self.per_block)

    def _block(self, block: int) -> Iterator[int]:
        for kind, amount in enumerate(self.per_block):
            for position in range(block * amount, (block + 1) * amount):
                yield self._draw(kind, position)

    def _draw(self, kind: int, position: int) -> int:
        """The draw at a position of one kind's stream; its epoch is part of the draw, so crops differ."""
        pool = self.pools[kind]
        epoch, place = divmod(position, len(pool))
        order = epoch_order(len(pool), (self.seed, kind, epoch))
        return epoch * self.size + pool[order[place]]
