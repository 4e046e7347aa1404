"""Data sets of volumes, the prepared store, sampling."""

from medctx3d.datasets.prepared_store import PreparedStore
from medctx3d.datasets.sampler import SeededSampler
from medctx3d.datasets.volume_dataset import VolumeDataset
from medctx3d.datasets.worker import seed_worker

__all__ = ['PreparedStore', 'SeededSampler', 'VolumeDataset', 'seed_worker']
