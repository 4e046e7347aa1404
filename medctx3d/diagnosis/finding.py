"""What a check says: a problem with its place, and the finding that carries the check's name and weight."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Severity = Literal['error', 'warning', 'note']
SEVERITIES: tuple[Severity, ...] = ('error', 'warning', 'note')
"""An error stops a training or teaches it wrong, a warning probably does, a note is good to know."""

_SENTENCE = re.compile(r'\. (?=[A-Z])')


class Problem(NamedTuple):
    """What a check found.

    Attributes:
        where: The file; for what is no file, the config key, the split or the part of the machine.
        reason: The rule and what was found instead.
        fix: What to do.
        case: Id of the case, where it is about one.
    """

    where: str
    reason: str
    fix: str
    case: str = ''


class Finding(NamedTuple):
    """A problem with the name and the weight of the check that found it; attributes as in :class:`Problem`."""

    check: str
    severity: Severity
    where: str
    reason: str
    fix: str
    case: str = ''

    def __str__(self) -> str:
        return f'{self.where}: {self.reason}. {self.fix}.'


def told_problem(message: str, where: str, case: str = '') -> Problem:
    """A problem from an error's message of this package, which reads ``where: rule, value. Fix.``.

    Args:
        message: Of the error.
        where: The file.
        case: Id of the case.
    """
    text = message.removeprefix(f'{where}: ').rstrip('.')
    sentences = [*_SENTENCE.finditer(text)]
    if not sentences:
        return Problem(where, text, 'Correct the file, or the config', case)
    last = sentences[-1]
    return Problem(where, text[: last.start()], text[last.end() :], case)
