"""What is known of a data set after one pass over its files: the records that every check reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from medctx3d.diagnosis.forecast import Forecast
from medctx3d.diagnosis.machine import Machine, Needs
from medctx3d.diagnosis.pipeline_facts import PipelineFacts
from medctx3d.utils.nifti_volume import NiftiForms
from medctx3d.utils.volume_header import VolumeHeader


class IntensityFacts(NamedTuple):
    """Intensities of one channel, in the unit of the file.

    Attributes:
        nonfinite: Voxels that are NaN, infinite or beyond float32; the other figures leave them out.
        first_nonfinite: Index of the first of them.
        minimum: Lowest.
        maximum: Highest.
        mean: Arithmetic mean.
        quantiles: At 0.5, 50 and 99.5 %, of a regular sample of the voxels; the middle one of those in the window of
            the load pipeline, or, without a window, of those that have another than the most frequent value.
        distinct: Number of different values in the sample.
        whole: Whether all values of the sample are whole numbers.
        common: The most frequent value of the sample.
        common_share: Part of the voxels that have it.
        top_share: Part of the voxels that have the highest value.
        blank_slices: Slices of one value between slices of several, along the axis of the largest spacing.
        inside_window: Part of the voxels in the window of the load pipeline, None without a window.
    """

    nonfinite: int
    first_nonfinite: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    quantiles: tuple[float, float, float]
    distinct: int
    whole: bool
    common: float
    common_share: float
    top_share: float
    blank_slices: tuple[int, ...]
    inside_window: float | None


class ImageFacts(NamedTuple):
    """Voxels of an image file.

    Attributes:
        channels: Intensities by channel.
        digest: Of shape and voxels of the first channel in RAS order, whatever the file's type and format.
        signature: Unit vector of the coarse content without slow shading; two images of one scan have a
            product near 1.
    """

    channels: tuple[IntensityFacts, ...]
    digest: str
    signature: np.ndarray


class ClassFacts(NamedTuple):
    """One class in one label file.

    Attributes:
        voxels: How many.
        volume_ml: Their volume.
        centroid: World coordinates (RAS+) of their centre in mm.
        gaps: Part of the slices between the first and the last with the class that have none of it, along the axis
            where that part is largest.
        in_window: Part of its voxels whose intensity lies in the window of the load pipeline, None without a window.
        on_common: Part of its voxels that have the image's most frequent value; None without an image to look at.
    """

    voxels: int
    volume_ml: float
    centroid: tuple[float, float, float]
    gaps: float
    in_window: float | None = None
    on_common: float | None = None


class LabelFacts(NamedTuple):
    """Voxels of a label file.

    Attributes:
        problem: Why the values are no class ids, empty where they are.
        kind: ``nonfinite``, ``fractions`` or ``unknown``: what ``problem`` is about.
        stored: Voxels by value as the file has them, at most 64 values.
        classes: By class id; background and absent classes left out.
        digest: As that of an image.
    """

    problem: str
    kind: str
    stored: dict[float, int]
    classes: dict[int, ClassFacts]
    digest: str


@dataclass(frozen=True)
class FileFacts:
    """One file.

    Attributes:
        path: The file, or the folder of a DICOM series.
        missing: Whether there is no such file.
        header: What it states, None where it cannot be read.
        header_problem: Why not.
        forms: NIfTI's own account of the geometry, None for other formats.
        voxel_problem: Why the voxels cannot be read.
        image: Of an image whose voxels were read.
        label: Of a label whose voxels were read.
    """

    path: str
    missing: bool = False
    header: VolumeHeader | None = None
    header_problem: str = ''
    forms: NiftiForms | None = None
    voxel_problem: str = ''
    image: ImageFacts | None = None
    label: LabelFacts | None = None


@dataclass(frozen=True)
class CaseFacts:
    """One case: its record in the list, and its files.

    Attributes:
        record: ``dict(case, image, label)``, perhaps ``subject``.
        split: Name of the split it is in.
        images: One file or one per channel.
        label: None where the list has none.
        unlabelled: Whether it is there to be used without a label.
    """

    record: dict[str, Any]
    split: str
    images: tuple[FileFacts, ...]
    label: FileFacts | None = None
    unlabelled: bool = False

    @property
    def case(self) -> str:
        """Its id."""
        return str(self.record['case'])

    @property
    def first(self) -> VolumeHeader | None:
        """Header of the first image."""
        return self.images[0].header

    @property
    def files(self) -> tuple[FileFacts, ...]:
        """Images, then the label."""
        return self.images + ((self.label,) if self.label else ())

    @property
    def classes(self) -> dict[int, ClassFacts]:
        """Classes of its label, empty without a readable one."""
        return self.label.label.classes if self.label and self.label.label else {}


@dataclass(frozen=True)
class SplitFacts:
    """One split of the config.

    Attributes:
        name: Stages that use it, such as ``train`` or ``val, test``.
        source: List or folder that it comes from.
        split: Its name there.
        metainfo: Of the data set.
        pipeline: What the config does with its images.
        cases: Its cases, once read.
        problem: Why the list cannot be read, as the error says it.
        listed: Other splits of the same list that the config does not use, by name: records alone.
    """

    name: str
    source: str
    split: str
    metainfo: dict[str, Any]
    pipeline: PipelineFacts
    cases: tuple[CaseFacts, ...] = ()
    problem: str = ''
    listed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by id."""
        return tuple(self.metainfo.get('classes') or ())

    @property
    def trains(self) -> bool:
        """Whether the network learns from it."""
        return 'train' in self.name.split(', ')


@dataclass(frozen=True)
class Facts:
    """All that the checks read.

    Attributes:
        splits: Of the config.
        folds: Cases of the training split by fold, as a cross-validation would divide them.
        config_problems: Why the parts of the config do not fit one another.
        machine: Limits of this machine, None where it was not looked at.
        needs: What the config asks of it.
        forecast: Time and memory, None where it was not tried.
    """

    splits: tuple[SplitFacts, ...]
    folds: tuple[tuple[str, ...], ...] = ()
    config_problems: tuple[str, ...] = ()
    machine: Machine | None = None
    needs: Needs | None = None
    forecast: Forecast | None = None

    def cases(self) -> Iterator[CaseFacts]:
        """Every case of every split."""
        for split in self.splits:
            yield from split.cases

    def files(self) -> Iterator[tuple[CaseFacts, FileFacts]]:
        """Every file of every case, with the case; a file that two cases share comes once."""
        seen = set()
        for case in self.cases():
            for file in case.files:
                if file.path not in seen:
                    seen.add(file.path)
                    yield case, file
