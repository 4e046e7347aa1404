"""Reconstruction of hidden voxels."""

from __future__ import annotations

from torch import Tensor, nn

from medctx3d.models.masking.functional import cell_grid, hide, resize_mask
from medctx3d.models.networks.encoder_decoder import EncoderDecoder
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor
from medctx3d.registry import MASKINGS, MODELS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Size3, Terms


@MODELS.register_module()
class MaskedAutoencoder(SelfSupervisor):
    r"""Restore the voxels that a mask hid, from those it left (dense form of arXiv 2111.06377 in 3D).

    The network sees the whole crop with hidden cells filled, so any encoder and decoder can be pretrained; nothing is
    left out of the computation. With M the hidden voxels and x the crop::

        loss_reconstruction = sum_M (network(hide(x)) - x)^2 / |M|

    Beside it, for the log, ``mean_error``: the same for an answer that is the mean of the visible voxels throughout,
    below which the network must come to have learnt anything.

    Args:
        network: An :class:`EncoderDecoder` whose ``num_classes`` is the number of image channels.
        masking: A masking strategy.
        patch_size: Edge lengths of a mask cell, in voxels; must divide the crop.
        fill: Value of hidden voxels, in units of the normalised image.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.
    """

    network_type = EncoderDecoder

    def __init__(
        self,
        network: dict | nn.Module,
        masking: dict | nn.Module,
        patch_size: Size3,
        *,
        fill: float = 0.0,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(network, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.masking = MASKINGS.build(masking) if isinstance(masking, dict) else masking
        self.patch_size = patch_size
        self.fill = fill

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The reconstruction term; see :class:`SelfSupervisor`."""
        grid = cell_grid(tuple(inputs.shape[2:]), self.patch_size)
        mask = self.masking(len(inputs), grid, device=inputs.device)
        x, y, z = inputs.shape[2:]
        hidden = resize_mask(mask, (x, y, z))[:, None].to(inputs.dtype)
        restored = self.network(hide(inputs, mask, self.fill)).logits[0].float()
        visible = (inputs * (1 - hidden)).sum(dim=(2, 3, 4), keepdim=True) / (1 - hidden).sum(
            dim=(2, 3, 4), keepdim=True
        ).clamp_min(1)
        return {
            'loss_reconstruction': _mean_square(restored - inputs, hidden),
            'mean_error': _mean_square(visible - inputs, hidden),
        }


def _mean_square(error: Tensor, hidden: Tensor) -> Tensor:
    """Over hidden voxels (N, 1, X, Y, Z) and all channels."""
    return (error.square() * hidden).sum() / (hidden.sum() * error.shape[1])
