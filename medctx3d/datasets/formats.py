"""Data sets that take their list of cases from folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medctx3d.datasets.checks import Record, check_cases, few
from medctx3d.datasets.folder_lists import nnunet_records, paired_records
from medctx3d.datasets.volume_dataset import VolumeDataset
from medctx3d.registry import DATASETS
from medctx3d.utils.input_paths import expand_input


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


@DATASETS.register_module()
class UnlabelledDataset(VolumeDataset):
    """Images wherever they lie, without labels: for pretraining.

    Args:
        images: Volume files, folders of them, DICOM folders, patterns such as ``**/*_ct.nii.gz``, or lists (.txt,
            .json), relative to ``data_root``; see :func:`~medctx3d.utils.input_paths.expand_input`.
        data_root: Folder that they are relative to.
        split: Of a list with splits.
        kwargs: Of :class:`VolumeDataset`, but for those that concern labels.

    Raises:
        FileNotFoundError: An input does not exist, or a pattern matches nothing.
        ValueError: No image is named, or two of them have the same name.
    """

    def __init__(
        self, images: str | Sequence[str], data_root: str = '', *, split: str = 'training', **kwargs: Any
    ) -> None:
        self.images = (images,) if isinstance(images, str) else tuple(images)
        if not self.images:
            raise ValueError("UnlabelledDataset: images must name a file, folder, pattern or list, such as '*.nii.gz'")
        super().__init__(data_root=data_root, split=split, read_labels=False, **kwargs)

    def load_data_list(self) -> list[Record]:
        """All images, sorted by name; a file that two inputs name counts once."""
        found = {
            str(listed.image): listed
            for given in self.images
            for listed in expand_input(Path(self.data_root) / given, self.split)
        }
        names = Counter(listed.name for listed in found.values())
        twice = [f'{listed.name} ({path})' for path, listed in found.items() if names[listed.name] > 1]
        if twice:
            raise ValueError(
                f'{self.data_root}: every image needs a name of its own, these share theirs: {few(sorted(twice))}. '
                'Rename them, narrow the pattern, or list them with "case" in a .json file.'
            )
        return sorted(
            (dict(case=listed.name, image=listed.image, label=None) for listed in found.values()),
            key=lambda record: str(record['case']),
        )
