"""From a list of crops to a batch on the device."""

from __future__ import annotations

import torch
from mmengine.model import BaseDataPreprocessor

from medctx3d.registry import MODELS


@MODELS.register_module()
class VolumePreprocessor(BaseDataPreprocessor):
    """Move to the device, check that crops agree in shape, and stack. Intensity was settled in the pipeline.

    Args:
        non_blocking: Copy to the device without waiting, which needs pinned memory to have an effect.
    """

    def __init__(self, *, non_blocking: bool = True) -> None:
        super().__init__(non_blocking=non_blocking)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack a collated batch.

        Args:
            data: ``inputs``, a list of N tensors (C, X, Y, Z), and ``data_samples``, a list of N samples.
            training: Unused; part of mmengine's interface.

        Returns:
            ``inputs`` (N, C, X, Y, Z) float32 and ``data_samples``.

        Raises:
            ValueError: Crops of one batch differ in shape; the message names the cases.
        """
        del training
        return self.stack(data)

    def stack(self, data: dict) -> dict:
        """Volumes as the data set gave them; :meth:`forward` does no more here, other preprocessors begin with it."""
        data = self.cast_data(data)
        inputs, samples = data['inputs'], data.get('data_samples')
        if not isinstance(inputs, torch.Tensor):
            shapes = [tuple(item.shape) for item in inputs]
            if len(set(shapes)) > 1:
                cases = [sample.get('case', '?') for sample in samples or []]
                raise ValueError(
                    f'the volumes of one batch differ in shape: {shapes} (cases {cases}); crop them to one size '
                    'in the pipeline, or use batch_size=1 for whole volumes'
                )
            # A view of a single volume: a copy would take as much again.
            inputs = torch.stack(list(inputs)) if len(inputs) > 1 else inputs[0].unsqueeze(0)
        return dict(inputs=inputs.float(), data_samples=samples)
