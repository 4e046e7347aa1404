"""What a network takes for one window, found out by showing it one."""

from __future__ import annotations

from typing import NamedTuple

import torch

from medctx3d.inference.memory_plan import Footprint
from medctx3d.typing import WindowScorer
from medctx3d.utils.process_memory import forget_peak, held_memory, peak_memory


class Measured(NamedTuple):
    """What one window told.

    Attributes:
        footprint: Bytes of process and network.
        classes: Classes that the network answers with.
    """

    footprint: Footprint
    classes: int


@torch.no_grad()
def measure_network(scorer: WindowScorer, window: tuple[int, ...], device: torch.device) -> Measured:
    """Show a network one window of zeros.

    Args:
        scorer: Windows to scores.
        window: (C, x, y, z).
        device: Where the network is.
    """
    forget_peak()
    before = held_memory()
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        loaded = torch.cuda.memory_allocated(device)
        classes = scorer(torch.zeros(1, *window, device=device)).shape[1]
        taken = torch.cuda.max_memory_allocated(device) - loaded
        return Measured(Footprint(held_memory(), loaded, taken, True), classes)
    classes = scorer(torch.zeros(1, *window, device=device)).shape[1]
    return Measured(Footprint(before, 0, max(0, peak_memory() - before), device.type != 'cpu'), classes)
