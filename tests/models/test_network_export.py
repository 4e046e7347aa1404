"""Every network leaves the package in every format, for any batch."""

from __future__ import annotations

import copy

import pytest
import torch
from network_table import NETWORKS
from torch import nn

from medctx3d.export import DeployedNetwork, export_graph
from medctx3d.export.graph_export import compare
from medctx3d.export.graph_formats import FORMATS, write_torchscript
from medctx3d.registry import MODELS

NAMES = sorted(NETWORKS)
LONG = {'swin_unetr', 'nnformer'}  # many small operations to trace


def deployed(name: str) -> DeployedNetwork:
    """The tiny network as if it had trained: no weight is left at a zero that hides others."""
    torch.manual_seed(0)
    model = nn.Module()
    model.network = MODELS.build(copy.deepcopy(NETWORKS[name].network))
    with torch.no_grad():
        for weight in model.network.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return DeployedNetwork(model)


@pytest.mark.parametrize('name', [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in NAMES])
def test_a_traced_network_takes_any_batch(tmp_path, name):
    network, window = deployed(name), NETWORKS[name].crops[0]
    write_torchscript(network, torch.randn(2, 1, *window), tmp_path / 'net.ts', {})
    parity = compare(network, tmp_path / 'net.ts', format='torchscript', channels=1, window=window)
    assert parity.difference <= 1e-5 * max(1, parity.logits)


@pytest.mark.slow
@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('name', NAMES)
def test_every_network_can_be_exported_in_every_format(tmp_path, name, format):
    for package in FORMATS[format].packages:
        pytest.importorskip(package)
    path = tmp_path / f'net{FORMATS[format].suffix}'
    window = NETWORKS[name].crops[0]
    parity = export_graph(deployed(name), path, format=format, channels=1, window=window, metadata={})
    assert parity.difference <= 1e-5 * max(1, parity.logits)
