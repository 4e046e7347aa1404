"""Joint supervised and self-supervised training of 3D medical segmentors.

Importing this package imports nothing heavy: it reads the versions of what is installed and refuses, by name, what it
was not written for.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from medctx3d.version import __version__

__all__ = ['UnsupportedVersionError', '__version__', 'load_weights']

PYTHON_RANGE = '>=3.10,<3.14'  # mmengine uses pkgutil.find_loader, which 3.14 removed
PACKAGE_RANGES: dict[tuple[str, ...], str] = {  # distributions that provide the package, the one to install first
    ('torch',): '>=2.6,<2.14',
    ('mmengine-lite', 'mmengine'): '>=0.10.7,<0.12',
    ('monai',): '>=1.4,<1.7',
    ('numpy',): '>=1.26,<3',
}


class UnsupportedVersionError(ImportError):
    """Python or a package that medctx3d stands on is missing or outside the range it works with."""


def _check_python(found: str) -> None:
    """Refuse a Python outside ``PYTHON_RANGE``.

    Raises:
        UnsupportedVersionError: The version is outside; the message has the range and the remedy.
    """
    if not SpecifierSet(PYTHON_RANGE).contains(Version(found).base_version):
        msg = (
            f'medctx3d needs Python {PYTHON_RANGE}, this is Python {found}. '
            f'Make the environment with another one: make setup PYTHON=python3.11'
        )
        raise UnsupportedVersionError(msg)


def _check_package(distributions: tuple[str, ...], allowed: str) -> None:
    """Refuse a package that is missing or outside ``allowed``; a build such as ``2.13.0+cpu`` counts as its release.

    Raises:
        UnsupportedVersionError: Names the package, what was found, what is allowed and the command that mends it.
    """
    preferred = distributions[0]
    mend = f"python -m pip install '{preferred}{allowed}'"
    for name in distributions:
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if not SpecifierSet(allowed).contains(Version(found).base_version):
            raise UnsupportedVersionError(
                f'medctx3d needs {name} {allowed}, found {name} {found}. Mend it with: {mend}'
            )
        return
    raise UnsupportedVersionError(f'medctx3d needs {preferred} {allowed}, found none. Install it with: {mend}')


_check_python('.'.join(map(str, sys.version_info[:3])))
for _distributions, _allowed in PACKAGE_RANGES.items():
    _check_package(_distributions, _allowed)


def __getattr__(name: str) -> Any:
    """``medctx3d.load_weights``, imported when it is first asked for: it brings torch and MONAI along."""
    if name == 'load_weights':
        from medctx3d.engine.weights import load_pretrained

        return load_pretrained
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
