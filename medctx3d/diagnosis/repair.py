"""Repairs that are safe, made in a copy: orthonormal affines, forms that agree, labels as integers."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from scipy.linalg import polar

from medctx3d.datasets.checks import WHOLE_TOLERANCE
from medctx3d.diagnosis.facts import CaseFacts, Facts, FileFacts
from medctx3d.diagnosis.header_checks import SHEAR, shear
from medctx3d.utils.atomic import require_writable
from medctx3d.utils.geometry import corner_distance
from medctx3d.utils.nifti_volume import NiftiForms
from medctx3d.utils.volume_file import read_volume
from medctx3d.utils.volume_header import VolumeHeader

LOG = 'repairs.json'
_MOVED = 0.5  # of the smallest voxel edge: a corner that would move further is no rounding but a tilted gantry


class Repair(NamedTuple):
    """One change, or why there was none.

    Attributes:
        file: Relative to the copy.
        change: ``affine``, ``forms``, ``integers`` or ``none``.
        told: What was and what is, in words.
    """

    file: str
    change: str
    told: str


def repair_copy(
    facts: Facts, root: str | os.PathLike[str], lists: Iterable[str], out: str | os.PathLike[str]
) -> list[Repair]:
    """Copy a data set, repairing on the way what can be repaired without judging anything.

    The copy has the layout of ``root``, so that the config finds it by ``data_root``. It appears under its name only
    when whole, with ``repairs.json``; the data set itself is not written to.

    Args:
        facts: From an examination, voxels included.
        root: Folder that all files of the data set lie in.
        lists: Files and folders' lists to be copied as they are, such as ``dataset.json``.
        out: The copy; must not exist.

    Raises:
        ValueError: A file lies outside ``root``, or ``out`` exists or lies in ``root``.
        OSError: A file is missing, or the disk is full.
    """
    root, out = Path(root).resolve(), Path(out).absolute()
    require_new_copy(out, root)
    files = {case_file.path: (case, case_file) for case in facts.cases() for case_file in case.files}
    places = {path: _place(path, root) for path in [*files, *lists]}
    require_writable(out.parent, '--fix')
    draft = out.with_name(f'.{out.name}.{secrets.token_hex(4)}')
    repairs: list[Repair] = []
    try:
        for path in lists:
            _copy(Path(path), draft / places[path])
        for path, (case, file) in files.items():
            if not file.missing:
                repairs += _repair(file, case, draft / places[path], str(places[path]))
        log = dict(source=str(root), repairs=[repair._asdict() for repair in repairs])
        (draft / LOG).write_text(json.dumps(log, indent=1) + '\n', encoding='utf-8')
        os.rename(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return repairs


def require_new_copy(out: str | os.PathLike[str], root: str | os.PathLike[str]) -> None:
    """Refuse a place for the copy that is taken, or in the data set itself; nothing is read for it.

    Raises:
        ValueError: See :func:`repair_copy`.
    """
    root, out = Path(root).resolve(), Path(out).absolute()
    if os.path.lexists(out):
        raise ValueError(f'--fix {out}: must not exist, nothing is overwritten. Name a new folder.')
    if out.resolve().is_relative_to(root):
        raise ValueError(f'--fix {out}: must lie outside the data set {root}. Name a folder elsewhere.')


def orthonormal(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The affine with axes at right angles that is nearest in the least-squares sense, the volume's centre kept.

    Args:
        affine: (4, 4) voxel index to world in mm.
        shape: Voxels (X, Y, Z, ...).
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    fixed = np.eye(4)
    fixed[:3, :3] = polar(affine[:3, :3] / spacing)[0] * spacing
    centre = (np.array(shape[:3]) - 1) / 2
    fixed[:3, 3] = (affine @ [*centre, 1])[:3] - fixed[:3, :3] @ centre
    return fixed


def _place(path: str, root: Path) -> Path:
    absolute = Path(os.path.abspath(path))
    for candidate in (absolute, absolute.resolve()):
        if candidate.is_relative_to(root):
            return candidate.relative_to(root)
    raise ValueError(
        f'{path}: lies outside {root}, so a copy of that folder would lack it. Link or copy it into the data root.'
    )


def _repair(file: FileFacts, case: CaseFacts, target: Path, name: str) -> list[Repair]:
    """Write one file into the copy; what was changed."""
    source, header = Path(file.path), file.header
    is_label = case.label is not None and file.path == case.label.path
    if header is None or file.voxel_problem or not file.path.endswith(('.nii', '.nii.gz')):
        _copy(source, target)
        why = '' if header and not file.voxel_problem else 'cannot be read, copied as it is'
        return [Repair(name, 'none', why)] if why else []
    affine, repairs = _affine(header, file.forms, name)
    voxels = None
    if is_label:
        voxels, told = _integers(file)
        repairs += [Repair(name, 'integers', told)] if voxels is not None else []
    if not any(repair.change != 'none' for repair in repairs):
        _copy(source, target)
        return repairs
    _write(source, target, affine, voxels)
    return repairs


def _affine(header: VolumeHeader, forms: NiftiForms | None, name: str) -> tuple[np.ndarray | None, list[Repair]]:
    """A better affine, None to keep both forms as they are."""
    affine, repairs = header.affine, []
    cosine = shear(affine)
    if cosine > SHEAR:
        fixed = orthonormal(affine, header.shape)
        moved, allowed = corner_distance(affine, fixed, header.shape), _MOVED * min(header.spacing)
        if moved > allowed:
            told = f'sheared (cosine {cosine:.2g}); right angles would move a corner by {moved:.3g} mm: resample it'
            return None, [Repair(name, 'none', told)]
        repairs.append(
            Repair(name, 'affine', f'cosine {cosine:.2g} to {shear(fixed):.1g}, corners moved {moved:.3g} mm')
        )
        affine = fixed
    if forms is not None and forms.sform is not None and forms.qform is not None:
        apart = corner_distance(forms.sform, forms.qform, header.shape)
        if apart > 0.1 * min(header.spacing):
            repairs.append(Repair(name, 'forms', f'qform set to the sform, from which it was {apart:.3g} mm away'))
    return (affine, repairs) if repairs else (None, [])


def _integers(file: FileFacts) -> tuple[np.ndarray | None, str]:
    """Whole label values in the smallest unsigned type; None where nothing has to change or fractions remain."""
    header, forms = file.header, file.forms
    scaled = forms is not None and (forms.slope, forms.intercept) != (1.0, 0.0)
    if header is None or not (header.dtype.kind == 'f' or scaled):
        return None, ''
    values = read_volume(file.path)[0]
    if not np.isfinite(values).all() or np.abs(values - np.rint(values)).max() > WHOLE_TOLERANCE:
        return None, ''
    low, high = float(values.min()), float(values.max())
    kind = next(
        (k for k in (np.uint8, np.int16, np.int32) if np.iinfo(k).min <= low and high <= np.iinfo(k).max), None
    )
    if kind is None:
        return None, ''
    what = f'scaled {header.dtype}' if scaled else str(header.dtype)
    return np.rint(values).astype(kind), f'{what} to {np.dtype(kind).name}, values as before'


def _write(source: Path, target: Path, affine: np.ndarray | None, voxels: np.ndarray | None) -> None:
    """Write a NIfTI file with another affine, other voxels, or both; all else in its header stays."""
    image: Any = nib.load(source)
    stored: Any = np.asanyarray(image.dataobj.get_unscaled()) if voxels is None else voxels
    header = image.header.copy()
    header.set_data_dtype(stored.dtype)
    fixed = type(image)(stored, None, header)
    fixed.header.set_slope_inter(*(image.header.get_slope_inter() if voxels is None else (1, 0)))
    if affine is not None:
        fixed.set_sform(affine, code=int(header['sform_code']) or 1)
        fixed.set_qform(affine, code=int(header['qform_code']) or 1)
    target.parent.mkdir(parents=True, exist_ok=True)
    nib.save(fixed, target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
