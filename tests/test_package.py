"""The package as it is installed and imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import medctx3d

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'


def run_python(code: str, *, path: Path | None = None, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Run code in a fresh process, with ``path`` before everything else that Python finds packages in."""
    folders = [str(path)] if path else []
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([*folders, str(ROOT)])}
    return subprocess.run([sys.executable, *flags, '-c', code], env=env, capture_output=True, text=True, timeout=120)


def pretend(folder: Path, name: str, version: str) -> Path:
    """Make importlib.metadata believe that ``name`` is installed in ``version``."""
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n', encoding='utf-8')
    return folder


def lines(name: str) -> list[str]:
    text = (REQUIREMENTS / name).read_text(encoding='utf-8')
    stripped = [line.partition('#')[0].strip() for line in text.splitlines()]
    return [line for line in stripped if line and not line.startswith('-')]


def test_import_is_fast_and_free_of_warnings() -> None:
    start = time.perf_counter()
    result = run_python('import medctx3d; print(medctx3d.__version__)', flags=('-W', 'error'))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ''
    assert result.stdout.strip() == medctx3d.__version__
    assert time.perf_counter() - start < 5


def test_registry_import_is_fast() -> None:
    start = time.perf_counter()
    result = run_python('import medctx3d.registry')
    assert result.returncode == 0, result.stderr
    assert time.perf_counter() - start < 20  # the machine may be busy; alone it takes 2 s


@pytest.mark.parametrize(
    ('name', 'version', 'allowed'),
    [
        ('torch', '2.5.1', '>=2.6,<2.14'),
        ('torch', '2.14.0+cu130', '>=2.6,<2.14'),
        ('mmengine-lite', '0.10.6', '>=0.10.7,<0.12'),
        ('monai', '1.3.2', '>=1.4,<1.7'),
        ('monai', '1.7.0rc1', '>=1.4,<1.7'),
        ('numpy', '1.25.2', '>=1.26,<3'),
        ('numpy', '3.0.0', '>=1.26,<3'),
    ],
)
def test_guard_names_what_it_refuses(tmp_path: Path, name: str, version: str, allowed: str) -> None:
    result = run_python('import medctx3d', path=pretend(tmp_path, name, version))
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert name in last
    assert version in last
    assert allowed in last
    assert f"pip install '{name}{allowed}'" in last


@pytest.mark.parametrize(
    ('name', 'version'),
    [
        ('torch', '2.6.0'),
        ('torch', '2.13.0+cu130'),
        ('mmengine-lite', '0.11.0rc3'),
        ('monai', '1.4.0'),
        ('numpy', '1.26.4'),
    ],
)
def test_guard_lets_the_whole_range_pass(tmp_path: Path, name: str, version: str) -> None:
    result = run_python('import medctx3d', path=pretend(tmp_path, name, version))
    assert result.returncode == 0, result.stderr


def test_guard_names_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> str:
        raise medctx3d.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(medctx3d.metadata, 'version', nothing)
    with pytest.raises(medctx3d.UnsupportedVersionError, match=r'mmengine-lite >=0\.10\.7,<0\.12, found none.*pip'):
        medctx3d._check_package(('mmengine-lite', 'mmengine'), '>=0.10.7,<0.12')


@pytest.mark.parametrize('found', ['3.9.18', '3.14.0'])
def test_guard_refuses_other_pythons(found: str) -> None:
    with pytest.raises(medctx3d.UnsupportedVersionError, match=rf'>=3\.10,<3\.14, this is Python {re.escape(found)}'):
        medctx3d._check_python(found)


def test_guard_and_requirements_state_the_same_ranges() -> None:
    stated = {Requirement(line).name: Requirement(line).specifier for line in lines('runtime.txt')}
    for distributions, allowed in medctx3d.PACKAGE_RANGES.items():
        assert stated[distributions[0]] == Requirement(f'x{allowed}').specifier


def test_pins_lie_within_the_stated_ranges() -> None:
    pins = {
        canonicalize_name(Requirement(line).name): Requirement(line).specifier for line in lines('constraints.txt')
    }
    for file in ('runtime.txt', 'tests.txt', 'dev.txt'):
        for requirement in map(Requirement, lines(file)):
            pin = pins.get(canonicalize_name(requirement.name))
            assert pin is not None, f'{requirement.name} of {file} has no pin in constraints.txt'
            assert requirement.specifier.contains(str(pin).removeprefix('=='))


def test_the_lock_file_has_every_pin_with_its_hashes() -> None:
    text = (REQUIREMENTS / 'lock.txt').read_text(encoding='utf-8').replace('\\\n', ' ')
    locked = {}
    for line in text.splitlines():
        if not line.startswith('#'):
            name, hashes = line.partition(' --hash=')[::2]
            pin = Requirement(name)
            locked[canonicalize_name(pin.name), str(pin.specifier)] = re.findall(r'sha256:[0-9a-f]{64}', hashes)
    pins = [Requirement(line) for file in ('constraints.txt', 'mmcv.txt') for line in lines(file)]
    wanted = {(canonicalize_name(pin.name), str(pin.specifier)) for pin in pins if pin.name != 'torch'}
    assert locked.keys() == wanted, 'run: make lock'
    assert all(locked.values())


def test_requirements_keep_one_opencv_and_one_mmengine() -> None:
    names = {Requirement(line).name for line in lines('runtime.txt')}
    assert {'opencv-python-headless', 'mmengine-lite'} <= names
    assert not {'opencv-python', 'mmengine', 'mmcv', 'mmcv-lite', 'timm'} & names


def test_every_requirement_says_why() -> None:
    for file in ('runtime.txt', 'optional.txt'):
        for line in (REQUIREMENTS / file).read_text(encoding='utf-8').splitlines():
            assert '#' in line, f'{file}: {line}'


def test_only_the_package_is_installed() -> None:
    code = 'import sys; sys.argv = ["setup.py", "--quiet", "--name"]; import setuptools; seen = {};'
    code += 'setuptools.setup = lambda **given: seen.update(given); exec(open("setup.py").read().replace('
    code += '"__file__", repr("setup.py"))); print(*sorted({name.partition(".")[0] for name in seen["packages"]}));'
    code += 'print(*sorted(seen["extras_require"]))'
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split('\n')[:2] == ['medctx3d', 'docs optional tests']


def test_licence_is_apache() -> None:
    text = (ROOT / 'LICENSE').read_text(encoding='utf-8')
    assert 'Apache License' in text
    assert 'The medctx3d authors' in text


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_launcher_explains_itself(script: str) -> None:
    helped = subprocess.run([ROOT / 'tools' / script, '--help'], capture_output=True, text=True, timeout=30)
    assert helped.returncode == 0
    assert helped.stdout.startswith(f'usage: tools/{script} ')
    wrong = subprocess.run([ROOT / 'tools' / script, 'only_one'], capture_output=True, text=True, timeout=30)
    assert wrong.returncode == 2
    assert 'only_one' in wrong.stderr
    assert 'usage:' in wrong.stderr


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    phony = next(line for line in makefile.splitlines() if line.startswith('.PHONY:'))
    documented = set(re.findall(r'^([a-z]+):.*## ', makefile, flags=re.MULTILINE))
    assert set(phony.split()[1:]) == documented
