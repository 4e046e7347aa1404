"""The encoder half of MONAI's UNETR."""

from __future__ import annotations

from typing import Literal

import torch
from mmengine.model import BaseModule
from monai.networks.nets import UNETR
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medctx3d.models.backbones.swin_unetr import hide_tokens
from medctx3d.registry import BACKBONES
from medctx3d.typing import Size3

PATCH = 16


@BACKBONES.register_module()
class UNETREncoder(BaseModule):
    """The encoder half of MONAI's UNETR (arXiv 2103.10504): a ViT over 16^3 patches and its skip convolutions.

    A hidden token loses its content and keeps its position: the transformer knows where something is missing.

    Args:
        in_channels: C.
        img_size: Crop (X, Y, Z) in voxels, each a multiple of 16; the position embedding is made for it.
        feature_size: Channels of the finest level.
        hidden_size: Width of the transformer.
        mlp_dim: Width of its feed-forward layers.
        num_heads: Attention heads.
        proj_type: How a patch becomes a token.
        dropout_rate: Dropout inside the transformer.
        norm: MONAI's name of the normalisation of the convolutions.
        token_masking: Own a learnable mask token; see :class:`SwinUNETREncoder`.
        mask_positions: Let the mask token take the place of the position as well, as the published MedContext code
            does: all hidden tokens are then the same, and the transformer cannot tell where they lie.
        use_checkpoint: Recompute transformer blocks in the backward pass instead of storing them.
        init_cfg: mmengine's initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        img_size: Size3,
        *,
        feature_size: int = 16,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_heads: int = 12,
        proj_type: Literal['conv', 'perceptron'] = 'conv',
        dropout_rate: float = 0.0,
        norm: str = 'instance',
        token_masking: bool = False,
        mask_positions: bool = False,
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if any(side % PATCH for side in img_size):
            raise ValueError(f'UNETREncoder: img_size must be multiples of {PATCH} voxels, got {tuple(img_size)}')
        whole = UNETR(
            in_channels=in_channels,
            out_channels=2,  # the half that has them is not kept
            img_size=img_size,
            feature_size=feature_size,
            hidden_size=hidden_size,
            mlp_dim=mlp_dim,
            num_heads=num_heads,
            proj_type=proj_type,
            norm_name=norm,
            dropout_rate=dropout_rate,
        )
        self.vit = whole.vit
        for block in self.vit.blocks:  # MONAI before 1.5 builds these unused; unused parameters stop distributed runs
            for unused in ('cross_attn', 'norm_cross_attn'):
                if hasattr(block, unused) and not getattr(block, 'with_cross_attention', False):
                    delattr(block, unused)
        self.encoder1, self.encoder2 = whole.encoder1, whole.encoder2
        self.encoder3, self.encoder4 = whole.encoder3, whole.encoder4
        self.img_size = tuple(img_size)
        self.use_checkpoint = use_checkpoint
        self.mask_positions = mask_positions
        self.mask_token = nn.Parameter(torch.zeros(hidden_size)) if token_masking else None
        width = feature_size
        self.out_channels = (width, 2 * width, 4 * width, 8 * width, hidden_size)
        self.out_strides = (1, 2, 4, 8, PATCH)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Encode a crop.

        Args:
            inputs: (N, C, X, Y, Z), exactly ``img_size``.
            mask: (N, gx, gy, gz) bool, True = hidden tokens.

        Returns:
            Five features, finest first, as ``out_channels`` and ``out_strides`` state.

        Raises:
            ValueError: Another crop size than ``img_size``, or a mask without ``token_masking``.
        """
        if tuple(inputs.shape[2:]) != self.img_size:
            raise ValueError(
                f'UNETREncoder was built for crops of {self.img_size} voxels, got {tuple(inputs.shape[2:])}: '
                'set img_size, the crop and the roi_size of the inferer to one value'
            )
        tokens = self._embed(inputs, mask)
        states = []
        for block in self.vit.blocks:
            if self.use_checkpoint and self.training and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
            states.append(tokens)
        return (
            self.encoder1(inputs),
            self.encoder2(self._to_volume(states[3])),
            self.encoder3(self._to_volume(states[6])),
            self.encoder4(self._to_volume(states[9])),
            self._to_volume(self.vit.norm(tokens)),
        )

    def _embed(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        """Patches to tokens (N, T, F) with positions; hidden ones carry the mask token."""
        embedding = self.vit.patch_embedding
        tokens = embedding.patch_embeddings(inputs)
        if tokens.ndim == 5:  # the convolution answers (N, F, gx, gy, gz), the perceptron (N, T, F)
            tokens = tokens.flatten(2).transpose(1, 2)
        positions = embedding.position_embeddings
        if self.mask_positions:
            return embedding.dropout(self._hide(tokens + positions, mask))
        return embedding.dropout(self._hide(tokens, mask) + positions)

    def _hide(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """The mask token in place of hidden tokens (N, T, F)."""
        if mask is None:
            return tokens
        return hide_tokens(self._to_volume(tokens), mask, self.mask_token).flatten(2).transpose(1, 2)

    def _to_volume(self, tokens: Tensor) -> Tensor:
        """(N, T, F) to (N, F, gx, gy, gz)."""
        grid = [side // PATCH for side in self.img_size]
        return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *grid)
