"""Export a network as a graph, and refuse a graph that answers otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from medctx3d.export.graph_formats import FORMATS, require_packages
from medctx3d.typing import Size3
from medctx3d.utils.atomic import atomic_path

TOLERANCE = 1e-4  # of the largest logit; float32 sums in another order differ by 1e-6 to 1e-5 of it
_TRACED = 2  # volumes in the example: with 1, torch.export takes the batch for a constant
_CHECKED = (1, 3)  # batches of the parity check, neither of them the traced one


class ExportError(ValueError):
    """A network that cannot be exported, or whose graph answers otherwise."""


class Parity(NamedTuple):
    """How far a graph is from its network.

    Attributes:
        difference: Largest absolute difference of logits.
        logits: Largest absolute logit, to measure it by.
    """

    difference: float
    logits: float


def export_graph(
    network: nn.Module,
    path: str | Path,
    *,
    format: str,
    channels: int,
    window: Size3,
    metadata: Mapping[str, Any],
    tolerance: float = TOLERANCE,
) -> Parity:
    """Write a network as a graph for one window size and any batch.

    The file is read again and compared with the network on batches of another size than the traced one; it appears
    only if it agrees.

    Args:
        network: A :class:`~medctx3d.export.DeployedNetwork`.
        path: File to write, with the suffix of the format.
        format: ``onnx``, ``torch-export`` or ``torchscript``.
        channels: C of the images.
        window: (X, Y, Z).
        metadata: Kept in the file: see :func:`~medctx3d.export.describe`.
        tolerance: Largest difference that counts as agreement, as a fraction of the largest logit (at least of 1).

    Raises:
        ValueError: Unknown format, or the suffix of another.
        ModuleNotFoundError: The format needs a package that is not installed.
        ExportError: The network cannot be written in this format, or its graph disagrees.
    """
    path = Path(path)
    if format not in FORMATS:
        raise ValueError(f'format must be one of {", ".join(FORMATS)}, got {format!r}')
    if path.suffix != FORMATS[format].suffix:
        raise ValueError(f'--out must end in {FORMATS[format].suffix} for --format {format}, got {path.name!r}')
    require_packages(format)
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(_TRACED, channels, *window, generator=generator)
    with torch.no_grad():
        network(example)  # what the network itself refuses is no fault of the format
    with atomic_path(path) as temporary:
        try:
            FORMATS[format].write(network, example, temporary, metadata)
            parity = compare(network, temporary, format=format, channels=channels, window=window)
        except OSError:
            raise
        except Exception as error:  # exporters and runtimes raise classes of their own
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise ExportError(
                f'this network cannot be exported as {format} ({type(error).__name__}: {words[0][:300]}); try another '
                f'of {", ".join(FORMATS)}, or publish it (tools/publish_model.py)'
            ) from error
        if not parity.difference <= tolerance * max(1.0, parity.logits):
            raise ExportError(
                f'the {format} graph differs from the network by {parity.difference:.3g} (logits up to '
                f'{parity.logits:.3g}), more than --tolerance {tolerance:g} of them; nothing was written'
            )
    return parity


@torch.no_grad()
def compare(network: nn.Module, path: str | Path, *, format: str, channels: int, window: Size3) -> Parity:
    """Run a written graph and its network on the same volumes of noise.

    Args:
        network: As exported.
        path: What was written.
        format: Its format.
        channels: C.
        window: (X, Y, Z).

    Raises:
        ValueError: The graph answers with another shape.
    """
    run = FORMATS[format].read(Path(path))
    generator = torch.Generator().manual_seed(1)
    difference = largest = 0.0
    for count in _CHECKED:
        images = torch.randn(count, channels, *window, generator=generator)
        expected, found = network(images), run(images)
        if found.shape != expected.shape:
            raise ValueError(f'it answers {count} volumes with {tuple(found.shape)}, not {tuple(expected.shape)}')
        gap = (found - expected).abs().max().item()
        difference = gap if not gap <= difference else difference  # a NaN stays
        largest = max(largest, expected.abs().max().item())
    return Parity(difference, largest)
