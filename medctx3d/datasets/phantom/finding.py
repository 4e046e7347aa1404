"""A measured value with its limits, and how a group of phantoms did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Finding(NamedTuple):
    """One measured value.

    Args:
        check: Number of the check, 1 to 8.
        name: What was measured, with its unit.
        value: The value.
        low: Smallest value that passes.
        high: Largest value that passes.
    """

    check: int
    name: str
    value: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the value lies within its limits."""
        return bool(self.low <= self.value <= self.high)


class Summary(NamedTuple):
    """One measured quantity over several phantoms.

    Args:
        check: Number of the check.
        name: What was measured, with its unit.
        low: Smallest value that passes.
        high: Largest value that passes.
        mean: Mean value.
        extremes: Smallest and largest value.
        passed: Phantoms that passed.
        total: Phantoms in which it could be measured.
    """

    check: int
    name: str
    low: float
    high: float
    mean: float
    extremes: tuple[float, float]
    passed: int
    total: int


def summarise(groups: Sequence[Sequence[Finding]]) -> list[Summary]:
    """Gather the findings of several phantoms by what was measured.

    Args:
        groups: Findings of each phantom.

    Returns:
        One line per quantity, in the order of the checks.
    """
    by_name: dict[tuple[int, str], list[Finding]] = {}
    for findings in groups:
        for finding in findings:
            by_name.setdefault((finding.check, finding.name), []).append(finding)
    lines = []
    for (check, name), found in sorted(by_name.items(), key=lambda item: item[0][0]):
        values = np.array([finding.value for finding in found], float)
        lines.append(
            Summary(
                *(check, name, found[0].low, found[0].high, float(values.mean())),
                (float(values.min()), float(values.max())),
                sum(finding.passed for finding in found),
                len(found),
            )
        )
    return lines
