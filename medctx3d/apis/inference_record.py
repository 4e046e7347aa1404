"""``inference.json``: what a folder of results holds, by which model, and how each case went."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medctx3d.apis.case_files import Case
from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.claims import claim, release
from medctx3d.version import __version__

RECORD_FILE = 'inference.json'
RULES = {
    'grid': "voxels, affine, qform and sform (or direction, origin, spacing) of a result are its image's, bit for bit",
    'affine': 'sform where its code is above 0, else qform where its is, else voxel sizes, first axis to the left',
    'outside': 'voxels of the image that the prepared volume does not reach are class 0',
}
_PACKAGES = ('torch', 'monai', 'mmengine-lite', 'numpy', 'nibabel', 'SimpleITK')


class InferenceRecord:
    """The record of a folder of results, shared by all processes that write to it.

    Every change is made under a lock and written whole, as soon as a case is finished.

    Args:
        out: The folder.
        identity: What results depend on, from :func:`model_identity`; folders of another identity are refused.
        run: Id of this run; all its processes share it.
        extras: What the run writes beside the labels; a case without them is not done.
    """

    def __init__(self, out: Path, identity: Mapping[str, Any], run: str, extras: Sequence[str] = ()) -> None:
        self.path = out / RECORD_FILE
        self.identity = json.loads(json.dumps(identity, default=str))
        self.run = run
        self.extras = sorted(extras)

    def begin(self, cases: Mapping[str, str], about: Mapping[str, Any], *, overwrite: bool) -> None:
        """Enter a run.

        Args:
            cases: Result file by case.
            about: Device, options and what else describes the run.
            overwrite: Forget what another model or other options made, and replace results of unknown origin.

        Raises:
            ValueError: The folder has results of another identity, or of unknown origin.
        """
        with self._changing() as content:
            different = _differences(content.get('identity', self.identity), self.identity)
            if different and not overwrite:
                raise ValueError(
                    f'{self.path.parent} holds results of another model or of other options: {"; ".join(different)}. '
                    'Choose another output folder, or --overwrite to make them anew'
                )
            known = {} if different else content.get('cases', {})
            foreign = [
                name for case, name in cases.items() if case not in known and (self.path.parent / name).exists()
            ]
            if foreign and not overwrite:
                raise ValueError(
                    f'{self.path.parent} holds {foreign[0]} already ({len(foreign)} such files), and {RECORD_FILE} '
                    'does not say where from. Choose another output folder, or --overwrite to replace them'
                )
            runs = {} if different else content.get('runs', {})
            content.clear()
            content.update(identity=self.identity, rules=RULES, runs={**runs, self.run: dict(about)}, cases=known)

    def cases(self) -> dict[str, dict[str, Any]]:
        """What is known of each case: ``status`` (``running``, ``done``, ``failed``), ``run`` and more."""
        return _read(self.path).get('cases', {})

    def is_done(self, case: Case, result: str) -> bool:
        """Whether a case is finished: its result is there and was made from the files as they are now."""
        entry = self.cases().get(case.name, {})
        return (
            entry.get('status') == 'done'
            and entry.get('result') == result
            and entry.get('sources') == sources(case)
            and set(self.extras) <= set(entry.get('extras', ()))
            and (self.path.parent / result).exists()
        )

    def note(self, case: Case, **entry: Any) -> None:
        """Set what is known of a case."""
        with self._changing() as content:
            content['cases'][case.name] = dict(entry, extras=self.extras, run=self.run)

    def close(self, **about: Any) -> None:
        """Add to the description of this run."""
        with self._changing() as content:
            content['runs'][self.run].update(about)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        lock = claim(self.path.parent / '.claims' / 'record.lock', wait=True)
        try:
            content = _read(self.path)
            yield content
            with atomic_path(self.path) as draft:
                draft.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
        finally:
            if lock is not None:
                release(lock)


def model_identity(model: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What results depend on: weights, the config's model and preparation, options.

    Args:
        model: From :func:`init_model`.
        settings: Options that change results.

    Returns:
        ``weights_sha256``, one for each network that answers; ``config_sha256`` of the parts of the config that
        count; ``config``, the file's name, and ``options``.
    """
    config = model.cfg
    loader = config.get('test_dataloader') or config.get('val_dataloader') or {}
    dataset = loader.get('dataset', {})
    counted = dict(
        model=config.get('model'), **{key: dataset.get(key) for key in ('load_pipeline', 'pipeline', 'metainfo')}
    )
    return dict(
        weights_sha256=[weights_digest(network) for network in model.scorer.networks],
        config_sha256=hashlib.sha256(json.dumps(counted, sort_keys=True, default=str).encode()).hexdigest(),
        config=os.path.basename(str(config.filename or '')),
        options=dict(settings),
    )


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of a network's tensors, the same on every device and compiled."""
    digest = hashlib.sha256()
    tensors = {name.removeprefix('_orig_mod.'): tensor for name, tensor in network.state_dict().items()}
    for name, tensor in sorted(tensors.items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of what a prediction rests on."""
    found = {'medctx3d': __version__, 'python': platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = 'not installed'
    return found


def sources(case: Case) -> list[dict[str, Any]]:
    """Path, size and time of a case's files; of a DICOM folder the sum and the latest of its slices."""
    listed = []
    for name in case.files:
        path = Path(name).resolve()
        files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
        states = [file.stat() for file in files]
        size, time = sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)
        listed.append(dict(path=str(path), files=len(files), bytes=size, mtime_ns=time))
    return listed


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path}: must be valid JSON: {error}. Remove it, and use --overwrite') from None
    if not isinstance(content, dict):
        raise ValueError(f'{path}: must be a JSON object, it is a {type(content).__name__}. Remove it')
    return content


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What tells two identities apart, in words; the config's file name does not count."""
    found = []
    if theirs.get('weights_sha256') != ours['weights_sha256']:
        found.append(f'weights {_short(theirs.get("weights_sha256"))}, now {_short(ours["weights_sha256"])}')
    if theirs.get('config_sha256') != ours['config_sha256']:
        found.append(f'config {theirs.get("config")}, now {ours["config"]}, differ in model or preparation')
    before, now = theirs.get('options', {}), ours['options']
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            found.append(f'{key} {before.get(key)!r}, now {now.get(key)!r}')
    return found


def _short(digests: Any) -> str:
    return '+'.join(str(digest)[:12] for digest in digests or ['unknown'])
