"""Judge saved class probabilities, NIfTI volumes (X, Y, Z, K), slab by slab."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from medctx3d.apis.truth_files import Truth
from medctx3d.datasets.checks import check_same_grid, few
from medctx3d.evaluation.metrics.summary import mean
from medctx3d.evaluation.reliability import RELIABILITY_TEXT, Reliability
from medctx3d.utils.nifti import read_labels
from medctx3d.utils.volume_file import VolumeError, read_header

_SLAB_BYTES = 2**26  # of float32 probabilities that are held at a time


def check_probabilities(files: Mapping[str, str], truth: Truth, cases: Iterable[str]) -> None:
    """Refuse files that cannot be judged, from their headers alone.

    Args:
        files: Case to a NIfTI file of probabilities.
        truth: Label files and class names.
        cases: Those that will be judged.

    Raises:
        ValueError: A case has no file, or a file is on another grid or of other classes.
    """
    missing = [case for case in cases if case not in files]
    if missing:
        raise ValueError(f'{len(missing)} cases have no probabilities: {few(missing)}')
    classes = len(truth.metainfo['classes'])
    for case in cases:
        header = read_header(files[case])
        if len(header.shape) != 4 or header.shape[3] != classes:
            raise VolumeError(
                f'{files[case]}: must hold (X, Y, Z, {classes}), a probability for each class, has {header.shape}'
            )
        try:
            check_same_grid(read_header(truth.files[case]), header, 'probabilities')
        except VolumeError as error:
            raise VolumeError(f'{files[case]}: probabilities must lie on the grid of their truth: {error}') from error


def judge_probabilities(
    files: Mapping[str, str], truth: Truth, cases: Sequence[str], *, workers: int = 1
) -> dict[str, Any]:
    """Calibration and uncertainty of every case, their means over cases, and those of all voxels together.

    Args:
        files: Case to a NIfTI file of probabilities on the grid of its truth; a compressed one is first unpacked into
            the folder for temporary files.
        truth: Label files and class names.
        cases: Those that are judged.
        workers: Processes.

    Returns:
        ``dict(mean, pooled, diagram, cases, text)``, for ``reliability`` in ``results.json``.

    Raises:
        ValueError: A file holds no probabilities, or cannot be read; see also :func:`check_probabilities`.
    """
    names = list(truth.metainfo['classes'])
    label_map = truth.metainfo.get('label_map')
    work = [(truth.files[case], files[case], len(names), label_map) for case in cases]
    if workers == 1:
        found = [_judge(*item) for item in work]
    else:
        with ProcessPoolExecutor(min(workers, len(work))) as pool:
            found = list(pool.map(_judge, *zip(*work, strict=True)))
    pooled = Reliability(len(names))
    for each in found:
        pooled.merge(each)
    scores = [_named(each, names) for each in found]
    return dict(
        mean={
            part: {key: mean([case[part][key] for case in scores]) for key in scores[0][part]}
            for part in ('all', 'foreground', 'entropy_of_classes')
        },
        pooled=_named(pooled, names),
        diagram={part: pooled.diagram(part) for part in ('all', 'foreground')},
        cases=[dict(case=case, **each) for case, each in zip(cases, scores, strict=True)],
        text=RELIABILITY_TEXT,
    )


def _named(found: Reliability, names: Sequence[str]) -> dict[str, dict[str, float]]:
    scores = found.scores()
    return dict(scores, entropy_of_classes=dict(zip(names, scores['entropy_of_classes'], strict=True)))


def _judge(truth_file: str, file: str, classes: int, label_map: Mapping[int, int] | None) -> Reliability:
    """Sums of one case."""
    shape = read_header(file).shape
    labels = read_labels(truth_file, label_map)
    found = Reliability(classes)
    planes = max(1, _SLAB_BYTES // (4 * classes * shape[0] * shape[1]))
    try:
        with _unpacked(Path(file)) as plain:
            image: Any = nib.load(plain)
            for start in range(0, shape[2], planes):
                slab = np.asarray(image.dataobj[:, :, start : start + planes], dtype=np.float32)
                found.add(slab, labels[:, :, start : start + planes])
    except (EOFError, OSError, ImageFileError, zlib.error) as error:
        raise VolumeError(f'{file} cannot be read ({error}): copy or write it again') from error
    except ValueError as error:
        raise VolumeError(f'{file}: {error}') from error
    return found


@contextmanager
def _unpacked(file: Path) -> Iterator[Path]:
    """The file, or for the time being an unpacked copy: in a packed one every slab means reading from the start."""
    if file.suffix != '.gz':
        yield file
        return
    with tempfile.TemporaryDirectory(prefix='medctx3d_') as folder:
        plain = Path(folder) / file.stem
        with gzip.open(file) as packed, plain.open('wb') as copy:
            shutil.copyfileobj(packed, copy)
        yield plain
