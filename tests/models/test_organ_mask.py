"""Masks that follow the labels."""

from __future__ import annotations

import pytest
import torch

from medctx3d.models.masking import OrganMask, resize_mask

GRID, CELL = (4, 4, 4), 3


def crops() -> torch.Tensor:
    """(3, 1, 12, 12, 12): two organs of 8 and 1 cells; one organ everywhere; no organ (unlabelled)."""
    labels = torch.zeros(3, 1, 12, 12, 12, dtype=torch.long)
    labels[0, 0, :6, :6, :6] = 1
    labels[0, 0, 10, 10, 10] = 2
    labels[1] = 1
    labels[2] = -1
    return labels


def touched(labels: torch.Tensor) -> torch.Tensor:
    """(N, gx, gy, gz): cells with a voxel of an organ, cell by cell."""
    cells = labels[:, 0].unfold(1, CELL, CELL).unfold(2, CELL, CELL).unfold(3, CELL, CELL)
    return (cells > 0).flatten(4).any(dim=4)


def test_parts_of_organs_are_hidden_and_nothing_else() -> None:
    labels = crops()
    for seed in range(5):
        torch.manual_seed(seed)
        hidden = OrganMask(0.5)(3, GRID, labels=labels)
        assert not (hidden & ~touched(labels))[0].any()
        assert hidden.flatten(1).sum(dim=1).tolist() == [4, 32, 32]  # half of 9 cells, of 64, and at random of 64


def test_a_whole_organ_goes_missing_and_the_other_stays() -> None:
    labels = crops()
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        hidden = resize_mask(OrganMask(0.5, part='organ')(3, GRID, labels=labels), (12, 12, 12))[0]
        gone = {organ for organ in (1, 2) if hidden[labels[0, 0] == organ].all()}
        assert len(gone) == 1
        kept = ({1, 2} - gone).pop()
        assert not hidden[labels[0, 0] == kept].any()
        seen |= gone
    assert seen == {1, 2}


def test_a_crop_full_of_organs_is_never_hidden_altogether() -> None:
    hidden = OrganMask(0.9, part='organ', most=0.75)(3, GRID, labels=crops())
    assert int(hidden[1].sum()) == 48
    assert int(OrganMask(0.9, most=0.5)(3, GRID, labels=crops())[1].sum()) == 32


def test_labels_are_required_and_options_checked() -> None:
    with pytest.raises(ValueError, match='follows labels'):
        OrganMask(0.5)(1, GRID)
    with pytest.raises(ValueError, match="part must be 'cells' or 'organ'"):
        OrganMask(0.5, part='half')
    with pytest.raises(ValueError, match='most must lie between 0 and 1'):
        OrganMask(0.5, most=1.0)
