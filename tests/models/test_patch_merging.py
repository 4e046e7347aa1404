"""Patch merging lays neighbours side by side in the order that it names."""

import pytest
import torch
from monai.networks.nets.swin_unetr import PatchMergingV2

from medctx3d.models.blocks.patch_merging import PatchMerging

# From MONAI's history: offsets of the eight sub-grids along the three axes.
PUBLISHED = {
    'current': ['000', '100', '010', '001', '110', '101', '011', '111'],
    'legacy': ['000', '100', '010', '001', '101', '010', '001', '111'],
    'lexicographic': ['000', '001', '010', '011', '100', '101', '110', '111'],
}


@pytest.mark.parametrize('order', sorted(PUBLISHED))
def test_a_grid_that_encodes_its_own_parity_comes_out_in_the_published_order(order):
    layer = PatchMerging(1, order=order)
    layer.norm, layer.reduction = torch.nn.Identity(), torch.nn.Identity()
    grid = torch.stack(torch.meshgrid(*[torch.arange(4)] * 3, indexing='ij'))
    parity = (grid % 2 * torch.tensor([100, 10, 1]).view(3, 1, 1, 1)).sum(0).float()
    merged = layer(parity[None, ..., None])
    assert merged.shape == (1, 2, 2, 2, 8)
    assert [f'{int(value):03d}' for value in merged[0, 1, 0, 1]] == PUBLISHED[order]


def test_odd_sides_are_padded_as_monai_pads_them():
    ours, theirs = PatchMerging(2, order='lexicographic'), PatchMergingV2(2)
    ours.load_state_dict(theirs.state_dict())
    tokens = torch.randn(1, 3, 2, 5, 2)
    assert torch.equal(ours(tokens), theirs(tokens))


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match=r"order one of.*got 3 and 'old'"):
        PatchMerging(1, order='old')
