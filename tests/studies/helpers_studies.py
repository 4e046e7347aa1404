"""Studies small enough for a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from helpers_engine import run_config

ROOT = Path(__file__).parents[2]


def write_config(file: Path, data: Path, *, iterations: int = 3, medcontext: bool = False, extra: str = '') -> Path:
    """A config file of :func:`helpers_engine.run_config`; ``extra`` is appended as it is."""
    config = run_config(data, file.parent / 'unused', iterations=iterations, medcontext=medcontext)
    config.pop('experiment_name')
    file.write_text(f'{config.pretty_text}\n{extra}\n')
    return file


def name_subjects(data: Path) -> None:
    """Make the four training volumes those of three people: a pair and two single ones."""
    content = json.loads((data / 'dataset.json').read_text())
    for entry, subject in zip(content['training'], ('a', 'a', 'b', 'c'), strict=True):
        entry['subject'] = subject
    (data / 'dataset.json').write_text(json.dumps(content))


def call(tool: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a tool as a person does."""
    variables = dict(os.environ, OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', PYTHONPATH=str(ROOT))
    command = [sys.executable, f'tools/{tool}.py', *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False)
