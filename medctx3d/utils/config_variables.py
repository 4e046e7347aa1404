"""Environment variables in a config that is read as data."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NoReturn

_VARIABLE = re.compile(r'\{\{\s*\$(\w+)\s*:\s*(\S*?)\s*\}\}')
_READABLE_VARIABLE = re.compile(
    r'MEDCTX3D_\w+|\w+_ROOT|PRETRAINED'
)  # any other may hold what should not land in a log


def expand_variables(text: str, refuse: Callable[[str], NoReturn]) -> str:
    """Replace ``{{$NAME:default}}`` as mmengine does, for variables that are meant for configs.

    Args:
        text: A string of a config.
        refuse: Raises with its argument as the reason.
    """

    def value(match: re.Match) -> str:
        name, default = match[1], match[2]
        if _READABLE_VARIABLE.fullmatch(name) is None:
            refuse(f'the environment variable {name} (PRETRAINED, ..._ROOT and MEDCTX3D_... are read)')
        found = os.environ.get(name, default)
        return found if found else refuse(f'the environment variable {name}, which is not set and has no default')

    expanded = _VARIABLE.sub(value, text)
    return refuse("a template ({{...}}; '$name' takes the value of a name)") if '{{' in expanded else expanded
