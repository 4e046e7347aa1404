"""Make the process fit for training, whatever else is installed beside it. Every tool calls it first."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import warnings

from medctx3d.utils.collect_env import TWINS, installed, twin_problems

logger = logging.getLogger(__name__)

# What torchvision registers fakes for while it is imported; without its compiled half nobody has defined them.
_TORCHVISION_SCHEMAS = (
    'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
)
_KEPT_ALIVE: list[object] = []  # a torch.library.Library takes its operators along when it is collected
_NOISE = (  # message (a regular expression), category: third-party notices that a user can do nothing about
    (r'.*torch\.jit.* is deprecated', DeprecationWarning),
    (r'.*is not supported in Python 3\.14\+', DeprecationWarning),
    (r'.*pkg_resources is deprecated', UserWarning),
    (r'Using a non-tuple sequence for multidimensional indexing', UserWarning),
    (r'.*`torch\.cuda\.amp\..* is deprecated', FutureWarning),
)


def setup_environment() -> None:
    """Guard against a mismatched torchvision, report twin packages, keep OpenCV to one thread, filter noise.

    Safe to call more than once. It never stops a training: what it cannot mend it logs once, with the remedy.
    """
    for message, category in _NOISE:
        warnings.filterwarnings('ignore', message=message, category=category)
    guard_torchvision()
    for problem in twin_problems():
        _log_once(logging.WARNING, problem)
    if 'OMP_WAIT_POLICY' not in os.environ:  # read when the OpenMP runtime loads: too late to set it here
        _log_once(
            logging.DEBUG,
            'OMP_WAIT_POLICY is unset; on a shared machine start with OMP_WAIT_POLICY=PASSIVE',
        )
    if installed(TWINS['cv2']):
        import cv2

        cv2.setNumThreads(0)  # its own pool would compete with torch's and with the loader's workers


def guard_torchvision() -> bool:
    """Import torchvision if it is installed, so that a build that does not fit torch stops nobody later.

    mmengine imports torchvision when a Runner starts and survives its absence, but no other failure; a torchvision
    for another torch build fails with ``operator torchvision::nms does not exist``. Defining that operator's schema
    makes it importable; if even that fails, it is hidden for this process.

    Returns:
        True if ``import torchvision`` works from here on.
    """
    if 'torchvision' in sys.modules:
        return sys.modules['torchvision'] is not None
    if importlib.util.find_spec('torchvision') is None:
        return False
    first = _import_error()
    if first is None:
        return True
    if 'torchvision::' in str(first) and _define_schemas() and _import_error() is None:
        _log_once(logging.WARNING, f'torchvision does not fit this torch ({_brief(first)}); {_REMEDY}')
        return True
    sys.modules['torchvision'] = None  # type: ignore[assignment]  # "import torchvision" is now a ModuleNotFoundError
    _log_once(logging.WARNING, f'torchvision is hidden, it cannot be imported ({_brief(first)}); {_REMEDY}')
    return False


_REMEDY = (
    'training goes on without its operators. Remedy: install the torchvision of your torch release from the same '
    'package index as torch, or remove it (python -m pip uninstall -y torchvision).'
)


def _import_error() -> Exception | None:
    """Try ``import torchvision``; after a failure nothing half-imported stays behind."""
    try:
        importlib.import_module('torchvision')
    except Exception as error:  # RuntimeError, OSError, AttributeError: all mean "not usable"; reported by the caller
        for name in [name for name in sys.modules if name == 'torchvision' or name.startswith('torchvision.')]:
            del sys.modules[name]
        return error
    return None


def _define_schemas() -> bool:
    import torch

    try:
        library = torch.library.Library('torchvision', 'FRAGMENT')
        _KEPT_ALIVE.append(library)
        for schema in _TORCHVISION_SCHEMAS:
            library.define(schema)
    except RuntimeError as error:
        _log_once(logging.DEBUG, f'could not define the operators of torchvision: {_brief(error)}')
        return False
    return True


def _brief(error: Exception) -> str:
    return f'{type(error).__name__}: {str(error).partition(chr(10))[0]}'


_logged: set[str] = set()


def _log_once(level: int, message: str) -> None:
    if message not in _logged:
        _logged.add(message)
        logger.log(level, message)
