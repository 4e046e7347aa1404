"""A whole data set of phantoms as NIfTI files with a Decathlon list."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nibabel as nib
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from medctx3d.datasets.metainfo import METAINFO

from .generate import generate_phantom

GENERATOR = 1  # raise when the same seed no longer gives the same volume
BTCV_CASES = {
    'training': tuple('0005 0006 0007 0009 0010 0021 0023 0024 0026 0027 0028 0030 0031 0033 0034 0037 0039 0040'.split()),
    'validation': tuple(f'{number:04d}' for number in range(101, 201)),  # no published split has a third part
    'test': tuple('0001 0002 0003 0004 0008 0022 0025 0029 0032 0035 0036 0038'.split()),
}


class Job(NamedTuple):
    """One case to write.

    Args:
        case: Case id.
        image: File of the image.
        label: File of the label.
        seed: Seed of the phantom.
        spacing: Voxel size, mm.
        extent: Field of view, mm.
        enhanced: Amount of contrast medium, None draws it.
        noise: Standard deviation of the noise in HU, None draws it.
    """

    case: str
    image: Path
    label: Path
    seed: int
    spacing: tuple[float, float, float]
    extent: tuple[float, float, float]
    enhanced: float | None
    noise: float | None

    @property
    def done(self) -> bool:
        """Whether both files are there; they appear under these names only when complete."""
        return self.image.is_file() and self.label.is_file()


def write_dataset(
    out_dir: str | Path,
    *,
    training: int = 18,
    validation: int = 0,
    test: int = 12,
    spacing: Sequence[float] = (0.75, 0.75, 3.0),
    extent: Sequence[float] = (384.0, 384.0, 360.0),
    vary: float = 0.08,
    seed: int = 0,
    enhanced: float | None = None,
    noise: float | None = None,
    layout: Literal['btcv', 'plain'] = 'btcv',
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Write phantoms as NIfTI files and a Decathlon ``dataset.json``.

    Files are ``imagesTr/img0005.nii.gz`` and ``labelsTr/label0005.nii.gz`` with BTCV's published case ids, or
    ``imagesTr/case_000.nii.gz`` and ``labelsTr/case_000.nii.gz`` in the plain layout. Every file appears whole or not
    at all. A run that was interrupted is continued: cases that are there are kept.

    Args:
        out_dir: Folder to write to; made if missing.
        training: Number of training cases; at most 18 in BTCV's layout.
        validation: Number of validation cases; the published split of BTCV has none.
        test: Number of test cases; at most 12 in BTCV's layout.
        spacing: Mean voxel size along x, y, z in mm.
        extent: Mean field of view along x, y, z in mm.
        vary: Largest relative deviation of a case's voxel size from the mean, 0 to 0.5. In the plane the number of
            voxels stays and the field of view follows; along z the field of view stays.
        seed: Number of the data set; other seeds give other patients.
        enhanced: Amount of contrast medium of all cases, 0 to 1; None draws it per case.
        noise: Standard deviation of the noise of all cases in HU; None draws it per case.
        layout: ``btcv`` or ``plain``.
        workers: Processes that compute volumes; 1 stays in this one.
        progress: Whether to show a progress bar.

    Returns:
        Path of ``dataset.json``.

    Raises:
        ValueError: An argument is out of range, or the folder holds phantoms of other settings.
        OSError: Writing failed; no partial file is left under a final name.
    """
    out_dir = Path(out_dir)
    splits = _cases(layout, dict(training=training, validation=validation, test=test))
    if not 0 <= vary <= 0.5:
        raise ValueError(f'vary must be 0 to 0.5, got {vary}')
    if workers < 1:
        raise ValueError(f'workers must be 1 or more, got {workers}')
    settings = dict(generator=GENERATOR, seed=seed, layout=layout, training=training, validation=validation, test=test)
    settings |= dict(spacing=[*map(float, spacing)], extent=[*map(float, extent)], vary=vary)
    settings |= dict(enhanced=enhanced, noise=noise)
    listing = out_dir / 'dataset.json'
    finished = _check_settings(listing, settings)
    jobs = _jobs(out_dir, splits, settings)
    waiting = [job for split in jobs.values() for job in split if not job.done]
    if finished and not waiting:
        return listing
    for folder in ('imagesTr', 'labelsTr'):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    _write_json(listing, dict(name='phantom', phantom=settings))
    total = sum(map(len, jobs.values()))
    with _bar(progress) as bar:
        task = bar.add_task('phantoms', total=total, completed=total - len(waiting))
        for _ in _run(waiting, workers):
            bar.advance(task)
    _write_json(listing, _listing(out_dir, jobs, settings))
    return listing


def _cases(layout: str, counts: dict[str, int]) -> dict[str, list[str]]:
    """Case ids of every split."""
    if layout not in ('btcv', 'plain'):
        raise ValueError(f"layout must be 'btcv' or 'plain', got {layout!r}")
    for split, count in counts.items():
        limit = len(BTCV_CASES[split]) if layout == 'btcv' else 10**6
        if not 0 <= count <= limit:
            raise ValueError(
                f"{split} must be 0 to {limit} cases in layout {layout!r}, got {count}"
                + (", set layout='plain' for more" if layout == 'btcv' and count > limit else '')
            )
    if not any(counts.values()):
        raise ValueError('training, validation and test are all 0, set at least one of them')
    if layout == 'btcv':
        return {split: list(BTCV_CASES[split][:count]) for split, count in counts.items()}
    cases, start = {}, 0
    for split, count in counts.items():
        cases[split] = [f'case_{number:03d}' for number in range(start, start + count)]
        start += count
    return cases


def _jobs(out_dir: Path, splits: dict[str, list[str]], settings: dict[str, Any]) -> dict[str, list[Job]]:
    """What to write where, case by case; a case's seed depends on the data set's seed and its place in the list."""
    jobs: dict[str, list[Job]] = {}
    number = 0
    for split, cases in splits.items():
        jobs[split] = []
        for case in cases:
            state = np.random.SeedSequence([settings['seed'], number]).generate_state(1)
            factors = 1 + settings['vary'] * np.random.default_rng([settings['seed'], number, 1]).uniform(-1, 1, 2)
            spacing = np.round(np.array(settings['spacing']) * factors[[0, 0, 1]], 4)
            extent = np.array(settings['extent'])
            extent[:2] *= spacing[:2] / np.array(settings['spacing'][:2])
            image, label = (f'img{case}', f'label{case}') if settings['layout'] == 'btcv' else (case, case)
            jobs[split].append(
                Job(
                    case,
                    out_dir / 'imagesTr' / f'{image}.nii.gz',
                    out_dir / 'labelsTr' / f'{label}.nii.gz',
                    int(state[0]),
                    tuple(spacing.tolist()),
                    tuple(extent.tolist()),
                    settings['enhanced'],
                    settings['noise'],
                )
            )
            number += 1
    return jobs


def _run(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """Write cases one after the other or in processes; one step per case written."""
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield write_case(job)
        return
    # Forking a process that has loaded torch can deadlock, hence fresh ones.
    with ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context('spawn')) as pool:
        for future in as_completed([pool.submit(write_case, job) for job in jobs]):
            yield future.result()


def write_case(job: Job) -> None:
    """Generate one phantom and write its two files."""
    phantom = generate_phantom(
        job.seed, spacing=job.spacing, extent=job.extent, enhanced=job.enhanced, noise=job.noise
    )
    for path, array in ((job.label, phantom.label), (job.image, phantom.image)):
        volume = nib.Nifti1Image(array, phantom.affine)
        volume.header.set_xyzt_units('mm')
        volume.header['descrip'] = f'medctx3d phantom {job.seed}'.encode()
        content = volume.to_bytes()

        def compress(stream: Any, content: bytes = content) -> None:
            with gzip.GzipFile(filename='', mode='wb', fileobj=stream, compresslevel=1, mtime=0) as packed:
                packed.write(content)

        _replace(path, compress)


def _replace(path: Path, write: Callable[[Any], None]) -> None:
    """Write a file under a temporary name and move it to its own when it is complete."""
    handle, draft = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as stream:
            write(stream)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, lambda stream: stream.write((json.dumps(content, indent=1) + '\n').encode()))


def _check_settings(listing: Path, settings: dict[str, Any]) -> bool:
    """Refuse a folder with phantoms of other settings; True if its list is complete."""
    if not listing.is_file():
        return False
    content = json.loads(listing.read_text(encoding='utf-8'))
    found = content.get('phantom')
    if found is None:
        raise ValueError(f'{listing}: belongs to another data set, not to phantoms. Choose an empty out_dir.')
    other = {key: found.get(key) for key in settings if found.get(key) != settings[key]}
    if other:
        differences = ', '.join(f'{key}={value!r} there, {settings[key]!r} asked for' for key, value in other.items())
        raise ValueError(
            f'{listing}: holds phantoms of other settings ({differences}). '
            'Choose another out_dir, delete this one, or ask for the same settings.'
        )
    return 'labels' in content


def _listing(out_dir: Path, jobs: dict[str, list[Job]], settings: dict[str, Any]) -> dict[str, Any]:
    """Content of ``dataset.json``."""
    info = METAINFO['btcv']
    content: dict[str, Any] = dict(
        name='phantom',
        description='Generated abdominal CT with the 13 organs of BTCV; no patient data.',
        tensorImageSize='3D',
        modality={'0': 'CT'},
        labels={str(number): name for number, name in enumerate(info['classes'])},
        phantom=settings,
    )
    for split, cases in jobs.items():
        if cases:
            content[f'num{split.capitalize()}'] = len(cases)
            content[split] = [
                dict(
                    case=job.case,
                    image=job.image.relative_to(out_dir).as_posix(),
                    label=job.label.relative_to(out_dir).as_posix(),
                )
                for job in cases
            ]
    return content


def _bar(show: bool) -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('left'),
        TimeRemainingColumn(),
        disable=not show,
    )
