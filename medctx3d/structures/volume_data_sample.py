"""One volume or crop with its truth and prediction."""

from __future__ import annotations

from mmengine.structures import BaseDataElement

from medctx3d.structures.volume_data import VolumeData


class VolumeDataSample(BaseDataElement):
    """One volume or crop with its truth and prediction.

    Data fields, each a :class:`VolumeData` on the working grid:

    - ``gt_sem_seg.data``: (1, X, Y, Z) int64, class ids.
    - ``gt_regions.data``: (1, X, Y, Z) int32, ids of regions (super-voxels) from 1, 0 where there is none.
    - ``pred_sem_seg.data``: (1, X, Y, Z) int64, class ids.
    - ``seg_logits.data``: (K, X, Y, Z) float, only where the segmentor was asked to keep them.

    Meta fields: ``case`` (id), ``image_path``, ``label_path``, ``affine`` of the working grid, and for whole volumes
    ``source_affine`` and ``source_shape`` of the file's own grid.
    """

    @property
    def gt_sem_seg(self) -> VolumeData:
        """Truth, data (1, X, Y, Z) int64."""
        value: VolumeData = self._gt_sem_seg
        return value

    @gt_sem_seg.setter
    def gt_sem_seg(self, value: VolumeData) -> None:
        self.set_field(value, '_gt_sem_seg', dtype=VolumeData)

    @gt_sem_seg.deleter
    def gt_sem_seg(self) -> None:
        del self._gt_sem_seg

    @property
    def gt_regions(self) -> VolumeData:
        """Region map, data (1, X, Y, Z) int32, ids from 1, 0 where there is no region."""
        value: VolumeData = self._gt_regions
        return value

    @gt_regions.setter
    def gt_regions(self, value: VolumeData) -> None:
        self.set_field(value, '_gt_regions', dtype=VolumeData)

    @gt_regions.deleter
    def gt_regions(self) -> None:
        del self._gt_regions

    @property
    def pred_sem_seg(self) -> VolumeData:
        """Predicted class ids, data (1, X, Y, Z) int64."""
        value: VolumeData = self._pred_sem_seg
        return value

    @pred_sem_seg.setter
    def pred_sem_seg(self, value: VolumeData) -> None:
        self.set_field(value, '_pred_sem_seg', dtype=VolumeData)

    @pred_sem_seg.deleter
    def pred_sem_seg(self) -> None:
        del self._pred_sem_seg

    @property
    def seg_logits(self) -> VolumeData:
        """Scores before the softmax, data (K, X, Y, Z)."""
        value: VolumeData = self._seg_logits
        return value

    @seg_logits.setter
    def seg_logits(self, value: VolumeData) -> None:
        self.set_field(value, '_seg_logits', dtype=VolumeData)

    @seg_logits.deleter
    def seg_logits(self) -> None:
        del self._seg_logits
