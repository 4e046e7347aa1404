"""A whole data set of phantoms as NIfTI files with a Decathlon list."""

from __future__ import annotations

import gzip
import itertools
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from medctx3d.datasets.metainfo import METAINFO

from .generate import check_arguments, generate_phantom
from .plan import Job, Settings, plan_jobs


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
    if not 0 <= vary <= 0.5:
        raise ValueError(f'vary must be 0 to 0.5, got {vary}')
    if workers < 1:
        raise ValueError(f'workers must be 1 or more, got {workers}')
    settings = Settings(
        seed=seed,
        layout=layout,
        training=training,
        validation=validation,
        test=test,
        spacing=_triple('spacing', spacing),
        extent=_triple('extent', extent),
        vary=vary,
        enhanced=enhanced,
        noise=noise,
    )
    jobs = plan_jobs(out_dir, settings)
    for job in itertools.chain.from_iterable(jobs.values()):
        check_arguments(job.seed, job.spacing, job.extent)
    listing = out_dir / 'dataset.json'
    finished = _check_settings(listing, settings)
    waiting = [job for split in jobs.values() for job in split if not job.done]
    if finished and not waiting:
        return listing
    for folder in ('imagesTr', 'labelsTr'):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    _write_json(listing, dict(name='phantom', phantom=settings.as_json()))
    total = sum(map(len, jobs.values()))
    with _bar(progress) as bar:
        task = bar.add_task('phantoms', total=total, completed=total - len(waiting))
        for _ in _run(waiting, workers):
            bar.advance(task)
    _write_json(listing, _listing(out_dir, jobs, settings))
    return listing


def _triple(name: str, values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) != 3:
        raise ValueError(f'{name} must have three values, for x, y and z in mm, got {tuple(values)}')
    x, y, z = map(float, values)
    return x, y, z


def _run(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """Write cases one after the other or in processes; one step per case written."""
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            write_case(job)
            yield
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


def _check_settings(listing: Path, settings: Settings) -> bool:
    """Refuse a folder with phantoms of other settings; True if its list is complete."""
    if not listing.is_file():
        return False
    content = json.loads(listing.read_text(encoding='utf-8'))
    found = content.get('phantom')
    if found is None:
        raise ValueError(f'{listing}: belongs to another data set, not to phantoms. Choose an empty out_dir.')
    wanted = settings.as_json()
    other = {key: found.get(key) for key in wanted if found.get(key) != wanted[key]}
    if other:
        differences = ', '.join(f'{key}={value!r} there, {wanted[key]!r} asked for' for key, value in other.items())
        raise ValueError(
            f'{listing}: holds phantoms of other settings ({differences}). '
            'Choose another out_dir, delete this one, or ask for the same settings.'
        )
    return 'labels' in content


def _listing(out_dir: Path, jobs: dict[str, list[Job]], settings: Settings) -> dict[str, Any]:
    """Content of ``dataset.json``."""
    info = METAINFO['btcv']
    content: dict[str, Any] = dict(
        name='phantom',
        description='Generated abdominal CT with the 13 organs of BTCV; no patient data.',
        tensorImageSize='3D',
        modality={'0': 'CT'},
        labels={str(number): name for number, name in enumerate(info['classes'])},
        phantom=settings.as_json(),
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
