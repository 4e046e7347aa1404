"""What became of every tensor when weights met a network."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from torch import Tensor

Kind = Literal['matched', 'renamed', 'reshaped', 'new', 'missing', 'unused']
KINDS: dict[Kind, str] = {
    'matched': 'same name behind the prefix, same shape: loaded',
    'renamed': 'another name in the file: loaded',
    'reshaped': 'another shape in the file, brought to the shape here: loaded',
    'new': 'starts anew by design: another number of classes, left out by name, or a mask token the file has not',
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
        lost: Whether the network of the file computes with it and the network here has no place for it.
    """

    kind: Kind
    source: str = ''
    target: str = ''
    source_shape: tuple[int, ...] | None = None
    target_shape: tuple[int, ...] | None = None
    note: str = ''
    encoder: bool = False
    lost: bool = False

    @property
    def values(self) -> int:
        """Numbers in the tensor of the network; in that of the file where the network has none."""
        return math.prod(self.target_shape if self.target_shape is not None else self.source_shape or ())


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
        """The share of the network (or of its encoder) that is loaded, lost tensors of the file counted as not loaded.

        Lost are those that the network of the file computes with and that have no place here: without them the others
        do not do what they were trained for. The share is the smaller of two, of the tensors and of the numbers in
        them; a single large tensor can hide behind the first, many small ones behind the second. What starts anew by
        design does not count.
        """
        due = [entry for entry in self.entries if entry.lost or (entry.target and entry.kind != 'new')]
        due = [entry for entry in due if entry.encoder] if encoder else due
        if not due:
            return 0.0
        loaded = [entry for entry in due if entry.kind not in ('missing', 'unused')]
        values = sum(entry.values for entry in due)
        return min(len(loaded) / len(due), sum(entry.values for entry in loaded) / max(values, 1))

    def summary(self) -> str:
        """One line."""
        counts = Counter(entry.kind for entry in self.entries)
        told = ', '.join(f'{counts[kind]} {kind}' for kind in KINDS if counts[kind])
        whole = '' if self.part == 'encoder' else f', of the whole network {self.coverage():.1%}'
        return f'{self.file} ({self.naming}): {told}; coverage of the encoder {self.coverage(encoder=True):.1%}{whole}'

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

    def show(self, console: Console | None = None) -> None:
        """Print every tensor, kind by kind, one to a line."""
        console = console or Console()
        for kind, meaning in KINDS.items():
            entries = self.of(kind)
            if entries:
                console.print(f'{kind} ({len(entries)}): {meaning}', style='bold', markup=False, highlight=False)
            for entry in entries:
                console.print(f'  {_line(entry)}', soft_wrap=True, markup=False, highlight=False)
        console.print(self.summary(), soft_wrap=True, markup=False, highlight=False)


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Its shape as plain numbers."""
    return tuple(int(side) for side in tensor.shape)


def _line(entry: Entry) -> str:
    names = ' -> '.join(dict.fromkeys(name for name in (entry.source, entry.target) if name))
    shapes = [shape for shape in (entry.source_shape, entry.target_shape) if shape is not None]
    told = ' -> '.join(dict.fromkeys('x'.join(map(str, shape)) or 'scalar' for shape in shapes))
    return '  '.join(part for part in (names, told, entry.note) if part)
