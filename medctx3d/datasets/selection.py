"""Some of the cases of a split."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

from medctx3d.datasets.checks import Record, few


def select_cases(records: Sequence[Record], cases: Sequence[str], source: str) -> list[Record]:
    """The records of some cases, in the order asked for.

    Args:
        records: All there are.
        cases: Ids.
        source: List and split that the records come from, for the message.

    Raises:
        ValueError: An id is asked for twice, or is none of the records'; the message has up to five of them.
    """
    known = {str(record['case']): record for record in records}
    missing = [str(case) for case in cases if str(case) not in known]
    if missing:
        raise ValueError(
            f'{source}: cases= must name cases of the split, {len(missing)} of {len(cases)} are not in it: '
            f'{few(missing)}. It has {len(known)}, such as {few(list(known))}.'
        )
    twice = sorted(case for case, times in Counter(map(str, cases)).items() if times > 1)
    if twice:
        raise ValueError(f'{source}: cases= must name a case once, named more often: {few(twice)}. Drop the repeats.')
    return [known[str(case)] for case in cases]


def select_part(records: Sequence[Record], part: tuple[float, float], source: str) -> list[Record]:
    """The records of some subjects: those whose name, as a number from 0 to 1, lies in ``part``.

    The number is a checksum, so it depends on nothing else: parts that do not overlap share no subject, whatever the
    list's order and whatever is added to it.

    Args:
        records: All there are.
        part: From where to where, the end excluded.
        source: List and split that the records come from, for the message.

    Raises:
        ValueError: No subject lies in it.
    """
    low, high = part
    chosen = [record for record in records if low <= _place(record) < high]
    if records and not chosen:  # no case at all is another complaint
        raise ValueError(
            f'{source}: part={tuple(part)} holds none of its {len(records)} cases. Widen it, or add cases to the list.'
        )
    return chosen


def _place(record: Record) -> float:
    return zlib.crc32(str(record.get('subject') or record['case']).encode()) / 2**32
