"""Package description; requirements live in requirements/*.txt, the version in medctx3d/version.py."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def requirements(name: str) -> list[str]:
    """The requirements of one file, comments and ``-r`` lines left out."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    wanted = [line.partition('#')[0].strip() for line in lines]
    return [line for line in wanted if line and not line.startswith('-')]


def package_version() -> str:
    """``__version__``, read without importing the package: its guard would ask for torch."""
    text = (ROOT / 'medctx3d' / 'version.py').read_text(encoding='utf-8')
    match = re.search(r"__version__ = '([^']+)'", text)
    if match is None:
        raise ValueError("medctx3d/version.py must hold a line __version__ = '...'")
    return match.group(1)


def long_description() -> str:
    """README.md, the page of the package index."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.exists() else ''


setup(
    name='medctx3d',
    version=package_version(),
    description='3D medical segmentation with joint supervised and self-supervised training (MedContext) on MMEngine',
    long_description=long_description(),
    long_description_content_type='text/markdown',
    author='The medctx3d authors',
    license='Apache-2.0',
    license_files=['LICENSE', 'medctx3d/reporting/assets/niivue.LICENSE.txt'],
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Topic :: Scientific/Engineering :: Image Processing',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
    ],
    python_requires='>=3.10,<3.14',
    packages=find_packages(include=['medctx3d', 'medctx3d.*']),
    package_data={'medctx3d': ['py.typed'], 'medctx3d.reporting': ['templates/*', 'assets/*']},
    install_requires=requirements('runtime'),
    extras_require={name: requirements(name) for name in ('optional', 'tests', 'docs')},
    zip_safe=False,
)
