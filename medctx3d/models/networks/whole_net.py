"""Any module from volume to logits."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.registry import MODELS
from medctx3d.typing import SegOutput


@MODELS.register_module()
class WholeNet(BaseModule):
    """Any module from volume to logits, such as a MONAI network by dotted path.

    The module may answer with one tensor, with a sequence of levels, or with levels stacked in one tensor
    (N, levels, K, X, Y, Z), as MONAI's DynUNet does in training.

    Args:
        net: Config, such as ``dict(type='monai.networks.nets.DynUNet', ...)``, or module.
        init_cfg: mmengine's initialisation.
    """

    def __init__(self, net: dict | nn.Module, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.net = MODELS.build(net) if isinstance(net, dict) else net

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> SegOutput:
        """(N, C, X, Y, Z) to logits levels.

        Raises:
            ValueError: A token mask is given; a whole net has no seam to hide tokens at.
        """
        if mask is not None:
            raise ValueError(
                "WholeNet cannot hide tokens: set mask_space='voxel' in the head, or use a backbone with token_masking"
            )
        answer = self.net(inputs)
        if isinstance(answer, Tensor):
            answer = answer.unbind(1) if answer.ndim == 6 else (answer,)
        if not isinstance(answer, Sequence):
            raise TypeError(
                f'WholeNet: {type(self.net).__name__} must answer with tensors, got {type(answer).__name__}'
            )
        return SegOutput(logits=tuple(answer))
