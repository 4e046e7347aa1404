"""What is installed, for bug reports and for the check at the end of ``make setup``.

``python -m medctx3d.utils.collect_env`` prints the table; with ``--check`` it also ends with status 1 when the
environment has two distributions that write the same files.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

TWINS: dict[str, tuple[str, ...]] = {  # import name -> distributions that all install it; the one to keep comes first
    'cv2': (
        'opencv-python-headless',
        'opencv-python',
        'opencv-contrib-python-headless',
        'opencv-contrib-python',
    ),
    'mmengine': ('mmengine-lite', 'mmengine'),
    'mmcv': ('mmcv-lite', 'mmcv'),
}
PACKAGES = (
    'torch',
    'torchvision',
    'numpy',
    'monai',
    'nibabel',
    'scipy',
    'scikit-image',
    'surface-distance',
    'matplotlib',
    'timm',
    'tensorboard',
)


def installed(distributions: tuple[str, ...]) -> dict[str, str]:
    """The distributions that are installed, in the order given, with their versions."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def twin_problems() -> list[str]:
    """One line, with the commands that mend it, per package that two distributions installed over each other."""
    problems = []
    for module, distributions in TWINS.items():
        found = list(installed(distributions))
        if len(found) > 1:
            no_deps = ' --no-deps' if module == 'mmcv' else ''  # its metadata would bring the twins of the others back
            problems.append(
                f'{len(found)} distributions install {module} over each other: {", ".join(found)}. '
                f'Keep one: python -m pip uninstall -y {" ".join(found)} && '
                f'python -m pip install{no_deps} {distributions[0]}'
            )
    return problems


def collect_env() -> dict[str, str]:
    """Versions of Python, the system and each package that matters here; ``'not installed'`` for the others."""
    from medctx3d.version import __version__

    rows = {'medctx3d': __version__, 'python': platform.python_version(), 'system': platform.platform()}
    for module, distributions in TWINS.items():
        found = installed(distributions)
        rows[module] = ', '.join(f'{name} {number}' for name, number in found.items()) or 'not installed'
    found = installed(PACKAGES)
    return rows | {name: found.get(name, 'not installed') for name in PACKAGES}


def main(argv: list[str] | None = None) -> int:
    """Print the table, then the problems; status 1 if ``--check`` is given and there are any."""
    parser = argparse.ArgumentParser(prog='python -m medctx3d.utils.collect_env', description=__doc__)
    parser.add_argument('--check', action='store_true', help='end with status 1 if two distributions collide')
    args = parser.parse_args(argv)
    for name, value in collect_env().items():
        print(f'{name:18}{value}')
    problems = twin_problems()
    for problem in problems:
        print(f'problem: {problem}', file=sys.stderr)
    if args.check and not problems:
        print('check: one OpenCV, one mmengine, one mmcv')
    return 1 if args.check and problems else 0


if __name__ == '__main__':
    sys.exit(main())
