"""Data sets that take their list of cases from folders."""

from __future__ import annotations

from pathlib import Path

from medctx3d.datasets.checks import Record, check_cases
from medctx3d.datasets.folder_lists import nnunet_records, paired_records
from medctx3d.datasets.volume_dataset import VolumeDataset
from medctx3d.registry import DATASETS


@DATASETS.register_module()
class NNUNetDataset(VolumeDataset):
    """An nnU-Net v2 raw data set: ``data_root`` is its folder ``DatasetNNN_Name``.

    ``split='training'`` is ``imagesTr``, ``'test'`` is ``imagesTs``; fold 0 of a ``splits_final.json`` copied into the
    folder divides ``imagesTr`` into ``'training'`` and ``'validation'``. Arguments as in :class:`VolumeDataset`;
    ``ann_file`` stays empty.

    Raises:
        ValueError: ``dataset.json`` is not of version 2 or disagrees with the files.
        FileNotFoundError: A folder or a label is missing.
    """

    def load_data_list(self) -> list[Record]:
        """The split's cases."""
        return nnunet_records(self.data_root, self.split)


@DATASETS.register_module()
class PairedFolderDataset(VolumeDataset):
    """Images and labels in two parallel folders, an image and its label having the same name.

    Split ``'training'`` lies in ``data_root/training/images`` and ``data_root/training/labels``, or, where there is
    no such folder, in ``data_root/images`` and ``data_root/labels``; other splits in folders of their own name. Split
    ``'test'`` may lack ``labels``, and with ``read_labels=False`` every split. Arguments as in
    :class:`VolumeDataset`; ``ann_file`` stays empty.

    Raises:
        FileNotFoundError: A folder or a label is missing.
        ValueError: There are no images.
    """

    def load_data_list(self) -> list[Record]:
        """The split's cases."""
        folder = Path(self.data_root) / self.split
        if self.split == 'training' and not folder.is_dir():
            folder = Path(self.data_root)
        if not (folder / 'images').is_dir():
            raise FileNotFoundError(
                f'{folder / "images"}: no such folder, split {self.split!r} needs it. Put the images there, or make a '
                f'data list that divides one folder: tools/dataset/make_datalist.py folders IMAGES LABELS.'
            )
        labels = folder / 'labels'
        optional = self.split.startswith(('test', 'predict')) and not labels.is_dir()
        records = paired_records(folder / 'images', None if optional or not self.read_labels else labels)
        check_cases(records, self.split, str(folder), labelled=self.read_labels)
        return records
