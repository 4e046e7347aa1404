"""A disk that notes what is asked of it, can fail at any operation, and can lose its power. Not a test file."""

from __future__ import annotations

import builtins
import errno
import io
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """Something a process asked of the disk.

    Attributes:
        kind: ``create``, ``write``, ``sync``, ``rename``, ``unlink``, ``sync folder``, or ``done`` for a note.
        file: Number of the file, whatever its name.
        name: Before the operation.
        detail: Bytes written, the new name, or what a note says.
    """

    kind: str
    file: int = -1
    name: str = ''
    detail: Any = None


class RecordedDisk:
    """One folder whose operations are noted, through the functions that Python programs call.

    Args:
        folder: The folder.
        monkeypatch: pytest's.
        full_at: Number of the operation that finds no room, from 0; None: none.
    """

    def __init__(self, folder: Path, monkeypatch: Any, full_at: int | None = None) -> None:
        self.folder = folder
        self.full_at = full_at
        self.operations: list[Operation] = []
        self._numbers = itertools.count()
        self._files: dict[str, int] = {}
        self._open, self._fsync, self._replace, self._unlink = builtins.open, os.fsync, os.replace, os.unlink
        monkeypatch.setattr(builtins, 'open', self.open)
        monkeypatch.setattr(io, 'open', self.open)
        for name in ('fsync', 'replace', 'unlink'):
            monkeypatch.setattr(os, name, getattr(self, name))

    def note(self, operation: Operation) -> None:
        if len(self.operations) == self.full_at and operation.kind != 'unlink':
            self.full_at = None
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.operations.append(operation)

    def open(self, path: Any, mode: str = 'r', *rest: Any, **options: Any) -> Any:
        if 'w' not in mode or Path(path).parent != self.folder:
            return self._open(path, mode, *rest, **options)
        name, number = Path(path).name, next(self._numbers)
        self.note(Operation('create', number, name))
        self._files[name] = number
        return _RecordedFile(self._open(path, mode, *rest, **options), self, number, name)

    def fsync(self, descriptor: int) -> None:
        path = Path(os.readlink(f'/proc/self/fd/{descriptor}'))
        if path == self.folder:
            self.note(Operation('sync folder'))
        else:
            self.note(Operation('sync', self._files[path.name], path.name))
        self._fsync(descriptor)

    def replace(self, source: Any, target: Any) -> None:
        before, after = Path(source).name, Path(target).name
        self.note(Operation('rename', self._files[before], before, after))
        self._replace(source, target)
        self._files[after] = self._files.pop(before)

    def unlink(self, path: Any, **options: Any) -> None:
        self._unlink(path, **options)  # first: where there is no such file, nothing happened
        name = Path(path).name
        self.note(Operation('unlink', self._files.pop(name), name))


class _RecordedFile:
    """A file opened for writing."""

    def __init__(self, stream: Any, disk: RecordedDisk, number: int, name: str) -> None:
        self._stream, self._disk, self._number, self._name = stream, disk, number, name

    def write(self, data: Any) -> int:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        self._disk.note(Operation('write', self._number, self._name, raw))
        return self._stream.write(data)

    def __enter__(self) -> _RecordedFile:
        return self

    def __exit__(self, *reason: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def after_power_loss(operations: list[Operation]) -> Iterator[dict[str, bytes]]:
    """All that may lie in the folder when the power goes after these operations: its files by name.

    What POSIX leaves open is taken at its worst. Content that was not synced may be as written, cut in half, empty or
    garbage. Of the names made, changed and removed since the folder was last synced, any may have reached the disk
    and any not, whatever their order.
    """
    names: dict[str, int] = {}
    pending: list[Operation] = []
    content: dict[int, bytes] = {}
    synced: set[int] = set()
    for operation in operations:
        if operation.kind == 'write':
            content[operation.file] += operation.detail
            synced.discard(operation.file)
        elif operation.kind == 'sync':
            synced.add(operation.file)
        elif operation.kind == 'sync folder':
            names, pending = _applied(names, pending), []
        elif operation.kind != 'done':
            content.setdefault(operation.file, b'')
            pending.append(operation)
    for count in range(len(pending) + 1):
        for reached in itertools.combinations(pending, count):
            found = _applied(names, list(reached))
            for damage in _DAMAGES if set(found.values()) - synced else _DAMAGES[:1]:
                yield {name: content[n] if n in synced else damage(content[n]) for name, n in found.items()}


_DAMAGES = (
    lambda written: written,
    lambda written: written[: len(written) // 2],
    lambda written: b'',
    lambda written: bytes(byte ^ 0x5A for byte in written),
)


def _applied(names: dict[str, int], operations: list[Operation]) -> dict[str, int]:
    names = dict(names)
    for operation in operations:
        if names.get(operation.name) == operation.file and operation.kind != 'create':
            del names[operation.name]
        if operation.kind != 'unlink':
            names[operation.detail if operation.kind == 'rename' else operation.name] = operation.file
    return names
