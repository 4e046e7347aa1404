"""Weights go to a network that merges patches in their own order, or nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from monai.networks.nets import SwinUNETR
from monai.networks.nets.swin_unetr import PatchMerging as MonaiMerging
from published_files import FILES, SWIN, swin_network, swin_state, unetr_network

from medctx3d.engine.checkpoint import CheckpointError
from medctx3d.engine.weights import CoverageError, load_pretrained, merge_order
from medctx3d.models.blocks.patch_merging import PatchMerging
from medctx3d.registry import MODELS


@pytest.mark.parametrize('order', ['current', 'legacy', 'lexicographic'])
def test_a_network_tells_its_order_without_being_computed(order: str) -> None:
    network = MODELS.build(swin_network(patch_merging=order))
    assert merge_order(network) == merge_order(network.to('meta')) == order


def test_networks_of_monai_tell_theirs() -> None:
    assert merge_order(SwinUNETR(in_channels=1, out_channels=2, downsample='mergingv2', **SWIN)) == 'lexicographic'
    theirs, ours = MonaiMerging(3), PatchMerging(3, order='current')
    ours.load_state_dict(theirs.state_dict())
    tokens = torch.randn(1, 4, 4, 4, 3)
    merged = SwinUNETR(in_channels=1, out_channels=2, **SWIN)
    assert (merge_order(merged) == 'current') == torch.equal(theirs(tokens), ours(tokens))


def test_a_network_without_patch_merging_has_no_order() -> None:
    assert merge_order(MODELS.build(unetr_network())) is None


def test_published_legacy_weights_are_refused_by_a_network_of_the_current_order(tmp_path: Path) -> None:
    torch.save(FILES['voco_ssl_head']().content, tmp_path / 'VoCo_B_SSL_head.pt')
    network = MODELS.build(swin_network(use_v2=True))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"legacy.*current order.*model\.network\.backbone\.patch_merging='legacy'"
    ):
        load_pretrained(network, tmp_path / 'VoCo_B_SSL_head.pt', part='encoder')
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_file_that_does_not_say_its_order_is_not_guessed_at(tmp_path: Path) -> None:
    torch.save(swin_state(), tmp_path / 'model.pt')
    with pytest.raises(CheckpointError, match=r'does not say in which order.*--patch-merging'):
        load_pretrained(MODELS.build(swin_network()), tmp_path / 'model.pt')


def test_what_the_user_says_may_not_contradict_the_file(tmp_path: Path) -> None:
    torch.save(FILES['vocomni']().content, tmp_path / 'VoComni_B.pt')
    network = MODELS.build(swin_network(use_v2=True, classes=21))
    with pytest.raises(ValueError, match=r"patch_merging='current' contradicts.*'legacy'"):
        load_pretrained(network, tmp_path / 'VoComni_B.pt', patch_merging='current')


def test_a_v2_file_for_a_v1_network_is_refused_although_it_fills_all_of_it(tmp_path: Path) -> None:
    content = FILES['voco_ssl_head']().content
    torch.save(content, tmp_path / 'VoCo_B_SSL_head.pt')
    network = MODELS.build(swin_network(patch_merging='legacy'))
    with pytest.raises(
        CoverageError, match=r'Without a place.* are 8 tensors: swinViT\.layers1c.*set use_v2=True'
    ) as error:
        load_pretrained(network, tmp_path / 'VoCo_B_SSL_head.pt', part='encoder')
    assert not error.value.report.of('missing')
    lost = {entry.source for entry in error.value.report.entries if entry.lost}
    assert lost == {name for name in content if re.search(r'layers\dc\.', name)}


def test_a_v1_file_for_a_v2_network_is_refused_with_what_is_too_much(tmp_path: Path) -> None:
    torch.save(swin_state(), tmp_path / 'model.pt')
    with pytest.raises(CoverageError, match='leave out use_v2'):
        load_pretrained(MODELS.build(swin_network(use_v2=True)), tmp_path / 'model.pt', patch_merging='current')
