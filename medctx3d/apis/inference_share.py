"""One process's part of a run over many cases: what nobody else has claimed, one case after another."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from medctx3d.apis.case_files import Case
from medctx3d.apis.inference_record import InferenceRecord, sources
from medctx3d.apis.prefetch import has_room, prefetched
from medctx3d.utils.claims import claim, release

# What a bad file, a bad network or too little memory raise. Everything else is a defect and stops the run.
CASE_ERRORS = (ValueError, OSError, RuntimeError, MemoryError)
_FULL = (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC))


class Segmenter(Protocol):
    """What a run does with one case."""

    def prepare(self, case: Case) -> dict[str, Any]:
        """Read a case; runs in a thread of its own."""

    def segment(self, case: Case, prepared: dict[str, Any], result: Path) -> dict[str, Any]:
        """Segment and write; answers with what the record shall keep."""


class Share(NamedTuple):
    """What one process needs to know of a run.

    Attributes:
        record: The folder's record.
        cases: All cases of the run.
        results: File name of the result by case.
        needs: Bytes that a case may take while it is prepared, by case.
        workers: Processes that share the cases.
    """

    record: InferenceRecord
    cases: Sequence[Case]
    results: dict[str, str]
    needs: dict[str, int]
    workers: int = 1

    def lock_file(self, case: Case) -> Path:
        """Whose lock a process holds while it works on a case."""
        return self.record.path.parent / '.claims' / f'{case.name}.lock'


def segment_share(
    share: Share, segmenter: Segmenter, *, prefetch: bool = True, on_change: Callable[[], None] = lambda: None
) -> None:
    """Segment every case that is not done and that no other process has claimed.

    A case that fails is recorded with its reason, and the next one follows.

    Args:
        share: The run.
        segmenter: Reads, segments and writes a case.
        prefetch: Whether a case may be read while another is segmented, memory permitting.
        on_change: Called after every case.

    Raises:
        OSError: The disk with the results is full: no later case could be written either.
    """
    held: dict[str, int] = {}
    most = max(share.needs.values(), default=0)
    last = {case.name for case in share.cases[-share.workers :]}  # left to whoever is free first

    def may_prefetch(case: Case) -> bool:
        return prefetch and case.name not in last and has_room(most)

    try:
        for case, future in prefetched(_claimed(share, held), segmenter.prepare, may_prefetch):
            share.record.note(case, **_attempt(share, segmenter, case, future))
            _give_up(share, held, case)
            on_change()
    finally:
        for lock in held.values():
            release(lock)


def _attempt(share: Share, segmenter: Segmenter, case: Case, future: Future[dict[str, Any]]) -> dict[str, Any]:
    """The record's entry of one case after it was tried."""
    found = sources(case)
    result = share.results[case.name]
    try:
        kept = segmenter.segment(case, future.result(), share.record.path.parent / result)
    except CASE_ERRORS as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        return dict(status='failed', reason=case_reason(error), sources=found)
    return dict(status='done', result=result, sources=found, **kept)


def case_reason(error: BaseException) -> str:
    """An error in words, with what to do where memory ran out."""
    words = str(error).strip() or type(error).__name__
    if isinstance(error, MemoryError) or 'out of memory' in words.lower():
        return f'out of memory ({words.splitlines()[0][:120]}): try fewer --workers, or the CPU: --device cpu'
    return words


def _claimed(share: Share, held: dict[str, int]) -> Iterator[Case]:
    """Cases that are still to be done, each claimed for this process; ``held`` keeps the claims."""
    for case in share.cases:
        lock = claim(share.lock_file(case))
        if lock is None:
            continue
        held[case.name] = lock
        entry = share.record.cases().get(case.name, {})
        mine = entry.get('run') == share.record.run
        if mine and entry.get('status') == 'running':
            share.record.note(
                case,
                status='failed',
                sources=sources(case),
                reason='the process that segmented it was ended from outside, usually for lack of memory: run again '
                'with fewer --workers',
            )
        elif not (mine and entry.get('status') == 'failed') and not share.record.is_done(
            case, share.results[case.name]
        ):
            share.record.note(case, status='running')
            yield case
            continue
        _give_up(share, held, case)


def _give_up(share: Share, held: dict[str, int], case: Case) -> None:
    """Free a case; whoever claims it later looks at the record first, so the file may go."""
    with suppress(OSError):  # on Windows an open file stays
        share.lock_file(case).unlink()
    release(held.pop(case.name))
