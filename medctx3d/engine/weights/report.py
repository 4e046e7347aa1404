"""What became of every tensor when weights met a network."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from torch import Tensor

Kind = Literal['matched', 'renamed', 'reshaped', 'new', 'missing', 'unused']
KINDS: dict[Kind, str] = {
    'matched': 'same name, same shape: loaded',
    'renamed': 'another name in the file: loaded',
    'reshaped': 'another shape in the file, brought to the shape here: loaded',
    'new': 'starts anew by design: another number of classes, or a mask token the file has not',
    'missing': 'in the network, and the file has nothing that fits',
    'unused': 'in the file, and the network has no place for it',
}


@dataclass(frozen=True)
class Entry:
    """One tensor.

    Attributes:
        kind: One of :data:`KINDS`.
        source: Its name in the file; empty if the file has none.
        target: Its name in the network; empty if the network has none.
        source_shape: In the file.
        target_shape: In the network.
        note: What was done, or why nothing could be.
        encoder: Whether it belongs to the encoder.
    """

    kind: Kind
    source: str = ''
    target: str = ''
    source_shape: tuple[int, ...] | None = None
    target_shape: tuple[int, ...] | None = None
    note: str = ''
    encoder: bool = False

    @property
    def values(self) -> int:
        """Numbers in the tensor of the network."""
        count = 1
        for side in self.target_shape or ():
            count *= side
        return count


@dataclass(frozen=True)
class WeightsReport:
    """What became of every tensor of a file and of a network; each is in it once.

    Attributes:
        file: The file.
        naming: That it follows.
        part: That was asked for, ``encoder`` or ``encoder_decoder``.
        entries: Tensors of the part and of the file.
    """

    file: str
    naming: str
    part: str
    entries: tuple[Entry, ...]

    def of(self, *kinds: Kind) -> list[Entry]:
        """The entries of some kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]

    def coverage(self, *, encoder: bool = False) -> float:
        """The share of the network (or of its encoder) that is loaded.

        It is the smaller of two: the share of the tensors, and the share of the numbers in them; a single large tensor
        can hide behind the first, many small ones behind the second. What starts anew by design does not count.
        """
        due = [entry for entry in self.entries if entry.target and entry.kind != 'new']
        due = [entry for entry in due if entry.encoder] if encoder else due
        if not due:
            return 0.0
        loaded = [entry for entry in due if entry.kind != 'missing']
        values = sum(entry.values for entry in due)
        return min(len(loaded) / len(due), sum(entry.values for entry in loaded) / max(values, 1))

    def summary(self) -> str:
        """One line."""
        counts = Counter(entry.kind for entry in self.entries)
        told = ', '.join(f'{counts[kind]} {kind}' for kind in KINDS if counts[kind])
        return (
            f'{self.file} ({self.naming}): {told}; coverage of the encoder {self.coverage(encoder=True):.1%}, of the '
            f'{"encoder that was asked for" if self.part == "encoder" else "whole"} {self.coverage():.1%}'
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(
            file=self.file,
            naming=self.naming,
            part=self.part,
            coverage=self.coverage(),
            encoder_coverage=self.coverage(encoder=True),
            tensors=[dataclasses.asdict(entry) for entry in self.entries],
        )

    def show(self, console: Console | None = None, kinds: Iterable[Kind] = tuple(KINDS)) -> None:
        """Print every tensor, kind by kind."""
        console = console or Console(soft_wrap=True)
        table = Table('kind', 'in the file', 'in the network', 'shape', 'note', box=None, pad_edge=False)
        for kind in kinds:
            for entry in self.of(kind):
                table.add_row(kind, entry.source, entry.target, _shapes(entry), entry.note)
        console.print(table)
        console.print(self.summary(), highlight=False, markup=False)


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Its shape as plain numbers."""
    return tuple(int(side) for side in tensor.shape)


def _shapes(entry: Entry) -> str:
    shapes = [entry.source_shape, entry.target_shape]
    told = ['x'.join(map(str, shape)) or 'scalar' for shape in shapes if shape is not None]
    return ' -> '.join(dict.fromkeys(told))
