"""Data sets with the meta information of public ones; their lists come from ``tools/dataset/make_datalist.py``."""

from __future__ import annotations

from medctx3d.datasets.layouts import paired_subject
from medctx3d.datasets.metainfo import METAINFO
from medctx3d.datasets.volume_dataset import VolumeDataset
from medctx3d.registry import DATASETS


@DATASETS.register_module()
class BTCVDataset(VolumeDataset):
    """Abdominal CT with 13 organs (BTCV, "Synapse"); splits ``training`` (18 cases) and ``test`` (12)."""

    METAINFO = METAINFO['btcv']


@DATASETS.register_module()
class ACDCDataset(VolumeDataset):
    """Cine MR of the heart, both ventricles and the myocardium at end of diastole and systole; never flipped."""

    METAINFO = METAINFO['acdc']


@DATASETS.register_module()
class BrainTumourDataset(VolumeDataset):
    """Gliomas in four MR channels, MSD Task01."""

    METAINFO = METAINFO['brain_tumour']


@DATASETS.register_module()
class HippocampusDataset(VolumeDataset):
    """The two parts of the hippocampus in MR, MSD Task04.

    Ids 2k-1 and 2k are very probably the two hippocampi of one person: where the list names no ``subject``, such a
    pair is one, so that no division of cases parts it.
    """

    METAINFO = METAINFO['hippocampus']

    def load_data_list(self) -> list[dict]:
        """The cases with ``subject``; see :class:`VolumeDataset`."""
        records = super().load_data_list()
        for record in records:
            if not record.get('subject') and (subject := paired_subject(record['case'])):
                record['subject'] = subject
        return records


@DATASETS.register_module()
class HeadNeckDataset(VolumeDataset):
    """Planning CT of head and neck with five organs at risk, sided parotids among them."""

    METAINFO = METAINFO['head_neck']
