"""Some of the cases of a split."""

from __future__ import annotations

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
