"""The checkpoints of a work dir: written whole, read back, listed with their digests."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

from medctx3d.utils.atomic import DRAFT, atomic_path

MANIFEST = 'checkpoints.json'
POINTER = 'last_checkpoint'
BEST = 'best_'  # begins the names of checkpoints that hold no optimiser
_BLOCK = 1 << 22


class StoredCheckpoint(NamedTuple):
    """One line of the manifest.

    Attributes:
        file: Name in the folder.
        step: Iterations (or epochs) done.
        sha256: Of the file as it was written.
    """

    file: str
    step: int
    sha256: str


class CheckpointStore:
    """The checkpoints of one folder.

    A new file appears whole or not at all, is read back from the disk and compared with what was written, is entered
    into ``checkpoints.json`` and then named by ``last_checkpoint``; only then may older ones go. Whatever ends the
    process between two of these steps, every file that the manifest or the pointer names is whole.

    Args:
        folder: The work dir.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def entries(self) -> list[StoredCheckpoint]:
        """What the manifest lists, oldest first; empty without a readable one."""
        try:
            listed = json.loads((self.folder / MANIFEST).read_text(encoding='utf-8'))
            return [StoredCheckpoint(Path(e['file']).name, int(e['step']), str(e['sha256'])) for e in listed]
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return []  # the files themselves are what counts

    def add(self, content: dict[str, Any], name: str, step: int) -> Path:
        """Write a checkpoint, list it and point to it.

        Raises:
            OSError: It cannot be written, or reads back otherwise than it was written. Everything else in the folder
                is as it was.
        """
        path, before = self.folder / name, self.entries()
        others = [entry for entry in before if entry.file != name]

        def announce(sha256: str) -> None:
            if len(others) < len(before):  # until the new file has the name, either of the two may bear it
                self._list([*before, StoredCheckpoint(name, step, sha256)])

        sha256 = write_checkpoint(content, path, announce)
        self._list([*others, StoredCheckpoint(name, step, sha256)])
        with atomic_path(self.folder / POINTER) as temporary:
            temporary.write_text(str(path), encoding='utf-8')
        return path

    def prune(self, keep: int) -> None:
        """Delete all but the ``keep`` entries listed last."""
        entries = self.entries()
        outdated, kept = entries[:-keep], entries[-keep:]
        for entry in outdated:
            (self.folder / entry.file).unlink(missing_ok=True)
        if outdated:
            self._list(kept)

    def candidates(self) -> Iterator[Path]:
        """Files to resume from, newest first: what the pointer names, what is listed, any by the step in its name.

        All of them lie in this folder: the pointer has a whole path, and that of a copy leads to the original.
        """
        seen = set()
        for path in [*self._pointed(), *self._listed(), *self._by_step()]:
            if path.is_file() and path not in seen:
                seen.add(path)
                yield path

    def pointed_elsewhere(self) -> Path | None:
        """The file of another folder that the pointer names, where this folder has none of that name."""
        named = self._named()
        return named if named and named.is_file() and not (self.folder / named.name).exists() else None

    def is_damaged(self, path: Path) -> bool:
        """Whether a file differs from what the manifest says was written; False for one that it does not list."""
        digests = [entry.sha256 for entry in self.entries() if entry.file == path.name]
        return bool(digests) and file_digest(path) not in digests

    def clear_drafts(self) -> None:
        """Remove what a killed process left half written; nobody else may be writing to the folder."""
        for draft in self.folder.glob(f'{DRAFT}*'):
            draft.unlink(missing_ok=True)

    def _list(self, entries: list[StoredCheckpoint]) -> None:
        with atomic_path(self.folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps([entry._asdict() for entry in entries], indent=1) + '\n', encoding='utf-8')

    def _named(self) -> Path | None:
        pointer = self.folder / POINTER
        return Path(pointer.read_text(encoding='utf-8').strip()) if pointer.is_file() else None

    def _pointed(self) -> list[Path]:
        named = self._named()
        return [] if named is None else [self.folder / named.name]

    def _listed(self) -> list[Path]:
        return [self.folder / entry.file for entry in reversed(self.entries())]

    def _by_step(self) -> list[Path]:
        found = [
            (int(step[1]), path)
            for path in self.folder.glob('*.pth')
            if (step := re.search(r'_(\d+)$', path.stem)) and not path.name.startswith((BEST, DRAFT))
        ]
        return [path for _, path in sorted(found, reverse=True)]


def write_checkpoint(
    content: dict[str, Any], path: str | os.PathLike[str], announce: Callable[[str], None] | None = None
) -> str:
    """Write a checkpoint with ``torch.save``, flush it, read it back, and only then give it its name.

    The content goes to the disk piece by piece; no second copy of it is built in memory.

    Args:
        content: Tensors and plain data.
        path: Of the file.
        announce: Called with the SHA-256 before the file gets its name.

    Returns:
        SHA-256 of the file, in hexadecimal.

    Raises:
        OSError: The disk is full, fails, or reads back otherwise than was written; ``path`` is as it was.
    """
    with atomic_path(path) as temporary:
        with open(temporary, 'wb') as stream:
            writer: Any = _DigestingWriter(stream)
            try:
                torch.save(content, writer)
            except RuntimeError as error:
                if writer.error is None:
                    raise
                raise writer.error from error  # torch reports its own end of the failure
            stream.flush()
            os.fsync(stream.fileno())
            _drop_from_cache(stream)
        written: str = writer.digest.hexdigest()
        found = file_digest(temporary)
        if found != written:
            raise OSError(
                errno.EIO,
                f'the file reads back otherwise than it was written (SHA-256 {found[:12]} instead of {written[:12]}): '
                'the disk or its connection is failing',
                str(path),
            )
        if announce is not None:
            announce(written)
    return written


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class _DigestingWriter:
    """What ``torch.save`` writes to: passes bytes on, hashes them, and keeps the first error.

    torch turns an error inside ``write`` into a RuntimeError of its own that has lost the cause.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        try:
            count = self.stream.write(data)
        except OSError as error:
            self.error = error
            raise
        self.digest.update(data)
        return count

    def flush(self) -> None:
        self.stream.flush()


def _drop_from_cache(stream: IO[bytes]) -> None:
    """Ask the system to forget its copy of a flushed file, so that it is read back from the disk."""
    if hasattr(os, 'posix_fadvise'):
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
