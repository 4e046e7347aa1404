"""nnU-Net's plain and residual U-Net, small and for one plan, with the published names; volumes (N, C, Z, Y, X)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = (4, 6, 8)
STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 2))
KERNELS = ((1, 3, 3), (3, 3, 3), (3, 3, 3))


class Conv(nn.Module):
    """Convolution, affine instance norm, leaky ReLU; each registered twice."""

    def __init__(self, inputs, outputs, kernel, stride=(1, 1, 1), *, act=True, bias=True):
        super().__init__()
        padding = tuple(side // 2 for side in kernel)
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=bias)
        self.norm = nn.InstanceNorm3d(outputs, affine=True)
        self.all_modules = nn.Sequential(self.conv, self.norm, *([nn.LeakyReLU()] if act else []))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.all_modules(inputs)


class Convs(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=(1, 1, 1), *, depth=2):
        super().__init__()
        rest = [Conv(outputs, outputs, kernel) for _ in range(depth - 1)]
        self.convs = nn.Sequential(Conv(inputs, outputs, kernel, stride), *rest)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.convs(inputs)


class Block(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.conv1 = Conv(inputs, outputs, kernel, stride)
        self.conv2 = Conv(outputs, outputs, kernel, act=False)
        skip = [nn.AvgPool3d(stride, stride)] if max(stride) > 1 else []
        skip += [Conv(inputs, outputs, (1, 1, 1), act=False, bias=False)] if inputs != outputs else []
        self.skip = nn.Sequential(*skip)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.conv2(self.conv1(inputs)) + self.skip(inputs))


class Blocks(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride, depth):
        super().__init__()
        rest = [Block(outputs, outputs, kernel, (1, 1, 1)) for _ in range(depth - 1)]
        self.blocks = nn.Sequential(Block(inputs, outputs, kernel, stride), *rest)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.blocks(inputs)


class Encoder(nn.Module):
    def __init__(self, residual: bool):
        super().__init__()
        before = (CHANNELS[0] if residual else 1, *CHANNELS[:-1])
        plan = list(zip(before, CHANNELS, KERNELS, STRIDES, strict=True))
        if residual:
            self.stem = Convs(1, CHANNELS[0], KERNELS[0], depth=1)
            stages = [Blocks(*stage, depth=depth) for stage, depth in zip(plan, (1, 2, 2), strict=True)]
        else:
            stages = [nn.Sequential(Convs(*stage)) for stage in plan]
        self.stages = nn.Sequential(*stages)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        current, features = self.stem(inputs) if hasattr(self, 'stem') else inputs, []
        for stage in self.stages:
            current = stage(current)
            features.append(current)
        return features


class Decoder(nn.Module):
    """Levels run from the coarsest; the encoder is registered here a second time."""

    def __init__(self, encoder: Encoder, depth: int, classes: int):
        super().__init__()
        self.encoder = encoder
        levels = (1, 0)
        self.transpconvs = nn.ModuleList(
            nn.ConvTranspose3d(CHANNELS[level + 1], CHANNELS[level], STRIDES[level + 1], STRIDES[level + 1])
            for level in levels
        )
        self.stages = nn.ModuleList(
            Convs(2 * CHANNELS[level], CHANNELS[level], KERNELS[level], depth=depth) for level in levels
        )
        self.seg_layers = nn.ModuleList(nn.Conv3d(CHANNELS[level], classes, 1) for level in levels)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        current, logits = features[-1], []
        for level, skip in enumerate(reversed(features[:-1])):
            current = self.stages[level](torch.cat([self.transpconvs[level](current), skip], 1))
            logits.insert(0, self.seg_layers[level](current))
        return logits


class ReferenceUNet(nn.Module):
    def __init__(self, *, residual: bool = False, classes: int = 3):
        super().__init__()
        self.encoder = Encoder(residual)
        self.decoder = Decoder(self.encoder, 1 if residual else 2, classes)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        return self.decoder(self.encoder(inputs))
