"""In which order a network merges patches, found by asking it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from medctx3d.engine.checkpoint import CheckpointError

# Sub-grid that enters each of the eight slots; a sub-grid's number has its offsets along the axes as binary digits.
_ORDERS: dict[tuple[int, ...], str] = {
    (0, 4, 2, 1, 6, 5, 3, 7): 'current',
    (0, 4, 2, 1, 5, 2, 1, 7): 'legacy',
    (0, 1, 2, 3, 4, 5, 6, 7): 'lexicographic',
}


class _ProbeEnd(Exception):  # noqa: N818
    """The layer has shown its order; it need not compute."""


def merge_order(network: nn.Module) -> str | None:
    """The order of the patch merging of a Swin UNETR, whichever release of MONAI built it; None: it merges none.

    A grid of 2 x 2 x 2 tokens that are numbered is shown to the layer, and read before its norm.

    Args:
        network: With or without memory (``meta``); no weight is touched.
    """
    orders = {_probe(layer) for layer in _merging_layers(network)}
    if len(orders) > 1:
        raise ValueError(f'the patch merging layers of a network must agree on one order, got {orders}')
    return orders.pop() if orders else None


def check_merge_order(network: nn.Module, stated: str | None, file: object) -> None:
    """Refuse weights that were trained with another order than the network has.

    Names and shapes are the same in every order, so nothing else would tell.

    Args:
        network: That is to get the weights.
        stated: Order that the weights were trained with; None: unknown.
        file: For the message.

    Raises:
        CheckpointError: The orders differ, or that of the file is unknown.
    """
    own = merge_order(network)
    if own is None or stated == own:
        return
    if stated is None:
        raise CheckpointError(
            f'{file} does not say in which order its patches were merged, and wrong weights would load without an '
            f"error. State it with patch_merging= (--patch-merging): 'legacy' for files trained with MONAI 0.9 to "
            "1.4, 'current' for 1.5 and later, 'lexicographic' for mergingv2"
        )
    raise CheckpointError(
        f'{file} was trained with {stated} patch merging, the network merges in {own} order. Set in the config: '
        f"model.network.backbone.patch_merging='{stated}'"
    )


def _merging_layers(network: nn.Module) -> Iterator[nn.Module]:
    for name, layer in network.named_modules():
        reduction, norm = getattr(layer, 'reduction', None), getattr(layer, 'norm', None)
        if name.endswith('downsample') and isinstance(reduction, nn.Linear) and isinstance(norm, nn.LayerNorm):
            yield layer


def _probe(layer: nn.Module) -> str:
    norm = layer.get_submodule('norm')
    width = layer.get_parameter('reduction.weight').shape[1] // 8
    seen: list[Tensor] = []

    def stop(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0])
        raise _ProbeEnd

    handle = norm.register_forward_pre_hook(stop)
    try:
        layer(torch.arange(8.0).view(1, 2, 2, 2, 1).expand(1, 2, 2, 2, width))
    except _ProbeEnd:
        pass
    finally:
        handle.remove()
    slots = tuple(int(number) for number in seen[0].flatten()[::width])
    return _ORDERS.get(slots, f'unknown {slots}')
