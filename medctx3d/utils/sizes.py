"""Amounts of memory as people write them."""

from __future__ import annotations

import re

_UNITS = {'': 1, 'k': 10**3, 'm': 10**6, 'g': 10**9, 't': 10**12, 'ki': 2**10, 'mi': 2**20, 'gi': 2**30, 'ti': 2**40}


def parse_size(text: str | int) -> int:
    """Bytes of an amount such as ``4GB``, ``4 GiB``, ``1.5g`` or ``4000000000``.

    Args:
        text: A number, then perhaps a unit: kB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB of 1024; case
            and the B do not matter.

    Raises:
        ValueError: It cannot be read so, or is not above 0.
    """
    found = re.fullmatch(r'([0-9]+(?:\.[0-9]*)?)\s*([kmgt]?i?)b?', str(text).strip().lower())
    if found is None or found[2] not in _UNITS or int(float(found[1]) * _UNITS[found[2]]) < 1:
        raise ValueError(f"an amount of memory must read like '4GB', '1.5GiB' or '800MB', got {text!r}")
    return int(float(found[1]) * _UNITS[found[2]])


def show_size(count: int | float) -> str:
    """Bytes in the largest decimal unit that leaves a figure above 1, such as ``1.41 GB``."""
    for unit, factor in (('GB', 10**9), ('MB', 10**6), ('kB', 10**3)):
        if abs(count) >= factor:
            return f'{count / factor:.3g} {unit}'
    return f'{count:.0f} B'
