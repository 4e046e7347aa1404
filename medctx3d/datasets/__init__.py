"""Data sets of volumes, the prepared store, sampling."""

from medctx3d.datasets.formats import NNUNetDataset, PairedFolderDataset, UnlabelledDataset
from medctx3d.datasets.mixed_sampler import MixedSampler
from medctx3d.datasets.prepared_store import PreparedStore
from medctx3d.datasets.public_datasets import (
    ACDCDataset,
    BrainTumourDataset,
    BTCVDataset,
    HeadNeckDataset,
    HippocampusDataset,
)
from medctx3d.datasets.sampler import SeededSampler
from medctx3d.datasets.volume_dataset import VolumeDataset
from medctx3d.datasets.worker import seed_worker

__all__ = [
    'ACDCDataset',
    'BTCVDataset',
    'BrainTumourDataset',
    'HeadNeckDataset',
    'HippocampusDataset',
    'MixedSampler',
    'NNUNetDataset',
    'PairedFolderDataset',
    'PreparedStore',
    'SeededSampler',
    'UnlabelledDataset',
    'VolumeDataset',
    'seed_worker',
]
