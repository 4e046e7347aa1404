"""Environment and seeds of a run, from the head of its log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from medctx3d.utils.collect_env import collect_env

_LINE = re.compile(r'^    (?P<name>[A-Za-z][\w. -]*?): (?P<value>.+)$')
_BLOCKS = ('System environment:', 'Runtime environment:')
_SKIPPED = ('PyTorch compiling details', 'mp_cfg', 'dist_cfg')
_HEAD = 200  # lines of a log that its environment is found in


def training_environment(trainings: Sequence[Path]) -> dict[str, str]:
    """What mmengine noted of machine, versions and seeds when the newest training began; empty without a log."""
    logs = [file for folder in trainings for file in sorted(folder.glob('*.log'))]
    if not logs:
        return {}
    with open(logs[-1], encoding='utf-8', errors='replace') as stream:
        head = [line.rstrip('\n') for _, line in zip(range(_HEAD), stream, strict=False)]
    facts: dict[str, str] = {}
    inside = False
    for line in head:
        if line in _BLOCKS:
            inside = True
        elif line.startswith('-----') and facts:
            break
        found = _LINE.match(line) if inside else None
        if found and found['name'] not in _SKIPPED:
            facts[found['name']] = found['value'].strip()
    return facts


def report_environment() -> dict[str, str]:
    """Versions of what wrote the report, those that are installed."""
    return {name: value for name, value in collect_env().items() if value != 'not installed'}
