"""The encoder half of MONAI's Swin UNETR."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from monai.networks.nets import SwinUNETR
from torch import Tensor, nn

from medctx3d.models.blocks.patch_merging import MergeOrder, PatchMerging
from medctx3d.models.masking.functional import resize_mask
from medctx3d.registry import BACKBONES


@BACKBONES.register_module()
class SwinUNETREncoder(BaseModule):
    """The encoder half of MONAI's Swin UNETR (arXiv 2201.01266): Swin transformer and its skip convolutions.

    Parameter names are MONAI's, save ``swinViT.patch_embed`` which is ``patch_embed`` here: tokens can then be hidden
    between embedding and transformer. Every side of a crop must be a multiple of 32.

    Args:
        in_channels: C.
        feature_size: Channels of the finest level, a multiple of 12.
        depths: Transformer blocks per stage.
        num_heads: Attention heads per stage.
        window_size: Attention window, in tokens.
        drop_path_rate: Stochastic depth of the last block; earlier ones get less.
        norm: MONAI's name of the normalisation of the convolutions.
        use_v2: A residual convolution block before each stage, as in Swin UNETR-V2 and the weights of VoCo.
        patch_merging: Order of the neighbours where tokens are merged, see
            :class:`~medctx3d.models.blocks.patch_merging.PatchMerging`. Weights published before 2025 are ``legacy``.
        token_masking: Own a learnable mask token, so that a mask may be given. Without masks leave it off: an
            unused parameter stops distributed training.
        use_checkpoint: Trade a second forward of each stage for its activations' memory.
        init_cfg: mmengine's initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        feature_size: int = 48,
        *,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int = 7,
        drop_path_rate: float = 0.0,
        norm: str = 'instance',
        use_v2: bool = False,
        patch_merging: MergeOrder = 'current',
        token_masking: bool = False,
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        merging: Any = partial(PatchMerging, order=patch_merging)  # what MONAI calls a module is a constructor
        whole = SwinUNETR(
            in_channels=in_channels,
            out_channels=2,  # the half that has them is not kept
            feature_size=feature_size,
            depths=depths,
            num_heads=num_heads,
            window_size=window_size,
            dropout_path_rate=drop_path_rate,
            norm_name=norm,
            downsample=merging,
            use_v2=use_v2,
            use_checkpoint=use_checkpoint,
        )
        self.patch_embed = whole.swinViT.patch_embed
        self.swinViT = whole.swinViT
        self.swinViT.add_module('patch_embed', nn.Identity())
        self.encoder1, self.encoder2, self.encoder3 = whole.encoder1, whole.encoder2, whole.encoder3
        self.encoder4, self.encoder10 = whole.encoder4, whole.encoder10
        self.mask_token = nn.Parameter(torch.zeros(feature_size)) if token_masking else None
        width = feature_size
        self.out_channels = (width, width, 2 * width, 4 * width, 8 * width, 16 * width)
        self.out_strides = (1, 2, 4, 8, 16, 32)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Encode a crop.

        Args:
            inputs: (N, C, X, Y, Z), sides multiples of 32.
            mask: (N, gx, gy, gz) bool, True = hidden tokens.

        Returns:
            Six features, finest first, as ``out_channels`` and ``out_strides`` state.

        Raises:
            ValueError: A side is no multiple of 32, or a mask is given without ``token_masking``.
        """
        if any(side % 32 for side in inputs.shape[2:]):
            raise ValueError(f'SwinUNETREncoder: crop sides must be multiples of 32, got {tuple(inputs.shape[2:])}')
        tokens = self.patch_embed(inputs)  # (N, F, X/2, Y/2, Z/2)
        if mask is not None:
            tokens = hide_tokens(tokens, mask, self.mask_token)
        stages = self.swinViT(tokens)
        return (
            self.encoder1(inputs),
            self.encoder2(stages[0]),
            self.encoder3(stages[1]),
            self.encoder4(stages[2]),
            stages[3],
            self.encoder10(stages[4]),
        )


def hide_tokens(tokens: Tensor, mask: Tensor, mask_token: Tensor | None) -> Tensor:
    """Put the mask token where the mask hides.

    Args:
        tokens: (N, F, x, y, z) embedding without positions.
        mask: (N, gx, gy, gz) bool cells, True = hidden; resized to the tokens.
        mask_token: (F,), or None where the backbone was built without one.

    Raises:
        ValueError: There is no mask token.
    """
    if mask_token is None:
        raise ValueError(
            "a token mask was given to a backbone without mask token: set token_masking=True in the backbone's "
            "config, or mask_space='voxel' in the head's"
        )
    x, y, z = tokens.shape[2:]
    hidden = resize_mask(mask, (x, y, z))[:, None]
    return torch.where(hidden, mask_token.to(tokens.dtype).view(1, -1, 1, 1, 1), tokens)
