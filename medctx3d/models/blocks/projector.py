"""From pooled features to the vectors that a contrastive loss compares."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from medctx3d.registry import MODELS

Norm = Literal['batch', 'layer', 'none']


@MODELS.register_module()
class Projector(nn.Sequential):
    """A perceptron: linear, normalisation, ReLU, again and again, and a last linear layer.

    ``batch`` normalises over the rows of the call, keeps no running statistics and has no weights of its own, as in
    the released VoCo; a row then depends on the others. ``layer`` normalises each row by itself, so that several
    processes give what one would.

    Args:
        in_channels: Width of a row.
        hidden_channels: Width in between.
        out_channels: Width of the answer.
        num_layers: Linear layers.
        norm: After each linear layer but the last; ``batch`` needs two rows or more.

    Raises:
        ValueError: Fewer than one layer, or an unknown ``norm``.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 2048,
        out_channels: int = 2048,
        *,
        num_layers: int = 3,
        norm: Norm = 'batch',
    ) -> None:
        if num_layers < 1:
            raise ValueError(f'Projector: num_layers must be 1 or more, got {num_layers}')
        layers: list[nn.Module] = []
        width = in_channels
        for _ in range(num_layers - 1):
            layers += [nn.Linear(width, hidden_channels), *_normalisation(norm, hidden_channels), nn.ReLU()]
            width = hidden_channels
        super().__init__(*layers, nn.Linear(width, out_channels))
        self.norm = norm
        self.out_channels = out_channels

    def forward(self, rows: Tensor) -> Tensor:
        """Project rows (N, in_channels), or (..., in_channels) without ``batch``, to ``out_channels``.

        Raises:
            ValueError: One row where ``batch`` is to normalise over several.
        """
        if self.norm == 'batch' and len(self) > 1 and len(rows) < 2:
            raise ValueError(
                "Projector: norm='batch' normalises over the rows of a batch and needs two or more per process, got "
                f"{len(rows)}: set train_dataloader.batch_size=2 or more, or norm='layer'"
            )
        projected: Tensor = super().forward(rows)
        return projected


def _normalisation(norm: Norm, width: int) -> list[nn.Module]:
    if norm == 'batch':
        return [nn.BatchNorm1d(width, affine=False, track_running_stats=False)]
    if norm == 'layer':
        return [nn.LayerNorm(width)]
    if norm == 'none':
        return []
    raise ValueError(f"Projector: norm must be 'batch', 'layer' or 'none', got {norm!r}")
