from torch import nn

from medctx3d.registry import BACKBONES


@BACKBONES.register_module()
class TinyEncoder(nn.Module):
    """Two convolutions: features at full and at half resolution."""

    out_channels, out_strides = (8, 16), (1, 2)

    def __init__(self, in_channels):
        super().__init__()
        self.stem = nn.Conv3d(in_channels, 8, 3, padding=1)
        self.down = nn.Conv3d(8, 16, 3, stride=2, padding=1)

    def forward(self, inputs, mask=None):
        fine = self.stem(inputs).relu()
        return fine, self.down(fine).relu()
