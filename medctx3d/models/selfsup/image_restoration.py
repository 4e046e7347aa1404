"""Restoration of a corrupted volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.transforms import Compose
from torch import Tensor, nn

from medctx3d.models.networks.encoder_decoder import EncoderDecoder
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor
from medctx3d.registry import LOSSES, MODELS, TRANSFORMS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Terms


@MODELS.register_module()
class ImageRestoration(SelfSupervisor):
    """Undo corruptions of appearance, texture and context (after Models Genesis, Zhou et al., MedIA 2021).

    The corruptions are MONAI's random transforms of arrays, by name: monotone curves of intensity
    (``RandHistogramShift``), shuffled voxels in small boxes (``RandCoarseShuffle``) and boxes that are emptied
    (``RandCoarseDropout``). They are close to the paper's, not its own: its curves are Bezier curves, and what it
    empties may also be all around.

    Beside the term, for the log, ``corruption``: what an answer that leaves the corrupted volume as it is would score.

    Args:
        network: An :class:`EncoderDecoder` whose ``num_classes`` is the number of image channels.
        corruption: Configs of MONAI's transforms on (C, X, Y, Z), in this order.
        criterion: Answer and volume to a scalar; None: the mean squared error.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: There is no corruption.
    """

    network_type = EncoderDecoder

    def __init__(
        self,
        network: dict | nn.Module,
        corruption: Sequence[dict | Callable[[Tensor], Tensor]],
        *,
        criterion: dict | nn.Module | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(network, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if not corruption:
            raise ValueError('ImageRestoration: without corruption there is nothing to restore')
        self.corruption = Compose([TRANSFORMS.build(step) if isinstance(step, dict) else step for step in corruption])
        chosen = criterion or nn.MSELoss()
        self.criterion = LOSSES.build(chosen) if isinstance(chosen, dict) else chosen

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The restoration term; see :class:`SelfSupervisor`."""
        corrupted = self.corrupt(inputs)
        restored = self.network(corrupted).logits[0]
        return {
            'loss_restoration': self.criterion(restored.float(), inputs),
            'corruption': self.criterion(corrupted, inputs).detach(),
        }

    @torch.no_grad()
    def corrupt(self, inputs: Tensor) -> Tensor:
        """Corrupt every volume (N, C, X, Y, Z) by its own draw, seeded from torch's CPU generator."""
        self.corruption.set_random_state(seed=int(torch.randint(2**31, ())))
        changed = [self.corruption(volume.clone()) for volume in inputs]
        return torch.stack([torch.as_tensor(volume).as_subclass(torch.Tensor) for volume in changed]).to(inputs)
