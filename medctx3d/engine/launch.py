"""What every tool does between its command line and the Runner."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import io
import itertools
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from medctx3d.registry import register_all_modules
from medctx3d.utils.config_check import ConfigError, check_config, runner_keys
from medctx3d.utils.config_overrides import require_overrides_that_count
from medctx3d.utils.config_references import referenced_names, resolve_references
from medctx3d.utils.literal_config import LiteralConfig, read_literal_config
from medctx3d.utils.safe_config import require_safe
from medctx3d.utils.setup_env import setup_environment

_RUNS = itertools.count(1)  # of this process
LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def load_config(path: str | Path, options: dict[str, Any] | None = None, *, safe: bool = False) -> Config:
    """Read a config file and merge command-line options.

    An ordinary config is a program, and reading it runs it. With ``safe`` nothing runs: the file is read as data, and
    what it names must be harmless to build (:func:`~medctx3d.utils.safe_config.require_safe`).

    Args:
        path: A ``.py`` or ``.json`` config.
        options: From ``--cfg-options``, dotted keys.
        safe: The file is not trusted.

    Raises:
        FileNotFoundError: There is no such file; the message has the closest names in its folder.
        ConfigError: The file cannot be read as a config, an option leads nowhere, a ``'$name'`` names nothing, or,
            with ``safe``, the file holds more than data.
    """
    if safe:
        found = read_config(path, options)
        require_safe(found.config, found.lines, given=options or ())
        return found.config
    path = _existing(path)
    try:
        MMLogger.get_current_instance().setLevel(logging.WARNING)  # it tells every environment variable it replaces
        config = Config.fromfile(str(path), lazy_import=False)
    except OSError:
        raise
    except SyntaxError as error:  # it names mmengine's temporary copy
        raise ConfigError(_told_syntax(path, error)) from error
    except Exception as error:  # a config is a program: it may fail in any way
        raise ConfigError(f'config {path} cannot be read: {type(error).__name__}: {error}') from error
    require_overrides_that_count(path, config, runner_keys() | referenced_names(config))
    if options:
        merge_options(config, options)
    resolve_references(config)
    return config


def _told_syntax(path: Path, error: SyntaxError) -> str:
    """Which file, the config or a base of it, is no Python, and where; mmengine names a temporary copy."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    read = [frame.f_locals['filename'] for frame in frames if frame.f_code.co_name == '_file2dict']  # bases come last
    wrong = read[-1] if read and not path.samefile(read[-1]) else path
    cause = error if error.lineno else error.__context__  # mmengine packs the parser's error into another
    if not isinstance(cause, SyntaxError) or not cause.lineno:
        return f'config {path} cannot be read: {error}'
    return f'{wrong}, line {cause.lineno}: this is no Python ({cause.msg}). Correct it'


def read_config(path: str | Path, options: dict[str, Any] | None = None) -> LiteralConfig:
    """Read a config as data, to be looked at: nothing runs, and what it names is not judged.

    Raises:
        FileNotFoundError: See :func:`load_config`.
        ConfigError: See :func:`load_config`.
    """
    path = _existing(path)
    found = read_literal_config(path)
    require_overrides_that_count(path, found.config, runner_keys() | referenced_names(found.config))
    if options:
        merge_options(found.config, options)
    resolve_references(found.config)
    return found


def _existing(path: str | Path) -> Path:
    """The path of a config, which is there and of a kind that is read."""
    path = Path(path)
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path('configs')
        names = [str(candidate) for candidate in folder.rglob('*.py') if '_base_' not in candidate.parts]
        close = difflib.get_close_matches(str(path), names, n=3, cutoff=0.5)
        hint = f' Closest: {", ".join(close)}.' if close else ''
        raise FileNotFoundError(f'config {path} does not exist.{hint}')
    if path.suffix not in ('.py', '.json'):  # YAML looks like data, and its tags are code to mmengine's reader
        raise ConfigError(f'config {path} must be a .py or .json file. Write its values in one of these')
    return path


def open_config(path: str | Path, options: dict[str, Any] | None = None, *, safe: bool = False) -> Config:
    """What a tool does first: mend the environment, register all components, read the config and check it.

    Args:
        path: As in :func:`load_config`.
        options: As in :func:`load_config`.
        safe: As in :func:`load_config`.

    Raises:
        FileNotFoundError: See :func:`load_config`.
        ConfigError: See :func:`load_config` and :func:`~medctx3d.utils.config_check.check_config`.
    """
    setup_environment()
    register_all_modules()
    config = load_config(path, options, safe=safe)
    check_config(config)
    return config


def merge_options(config: Config, options: dict[str, Any]) -> None:
    """Merge ``--cfg-options`` into a config.

    Args:
        config: Changed in place.
        options: Dotted keys and their values.

    Raises:
        ConfigError: A key begins with a name that nothing reads, or leads into a value that has no keys.
    """
    known = runner_keys() | referenced_names(config)
    for key in options:
        first = key.partition('.')[0]
        if first in known:
            continue
        close = difflib.get_close_matches(first, known, n=1, cutoff=0.6)
        hint = f" Did you mean '{close[0]}{key[len(first) :]}'?" if close else ' Name it in full, from the top.'
        if first in config:
            hint = ' It is a variable of the config file, already written where it is used: change it there.'
        raise ConfigError(f'--cfg-options {key}: nothing reads {first!r}, so it would be ignored.{hint}')
    for key, value in options.items():
        try:
            config.merge_from_dict({key: value})
        except (KeyError, TypeError, IndexError, ValueError) as error:
            words = error.args[0] if isinstance(error, KeyError) and error.args else error
            raise ConfigError(f'--cfg-options {key}={value!r} leads nowhere in {config.filename}: {words}') from error


def default_work_dir(config: Config, config_path: str | Path, given: str | None) -> str:
    """``--work-dir``, else the config's own, else ``work_dirs/`` and the config's place below a folder ``configs``.

    Configs of one name in two folders, such as a baseline and its method, do not share a folder then. A config that
    lies elsewhere gives its name alone.
    """
    *folders, name = Path(config_path).absolute().with_suffix('').parts
    below = folders[len(folders) - folders[::-1].index('configs') :] if 'configs' in folders else []
    return given or config.get('work_dir') or os.path.join('work_dirs', *below, name)


def prepare_launch(config: Config, launcher: str) -> None:
    """Start the process group that mmengine cannot start: several processes without a GPU.

    mmengine's launchers call CUDA; here gloo is initialised before the Runner, which then keeps it, and the model
    wrapper is told that there is no device to pin to. A model with ``passes='sequential'`` gets the wrapper that
    knows such steps.

    Args:
        config: Changed in place.
        launcher: One of ``LAUNCHERS``.

    Raises:
        ConfigError: ``model_wrapper_cfg`` names another wrapper for a model with ``passes='sequential'``.
    """
    config.launcher = launcher
    if launcher == 'none':
        return
    _choose_wrapper(config)
    settings = dict((config.get('env_cfg') or {}).get('dist_cfg') or dict(backend='nccl'))
    if torch.cuda.is_available():
        if not is_distributed():  # as the Runner would, but before data are prepared: rank 0 does that alone
            init_dist(launcher, **settings)
        return
    if not is_distributed():
        settings['backend'] = 'gloo'
        if launcher == 'pytorch':
            if 'timeout' in settings:
                settings['timeout'] = datetime.timedelta(seconds=settings['timeout'])
            torch.distributed.init_process_group(**settings)
        else:
            init_dist(launcher, **settings)
    wrapper = dict(config.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel'))
    wrapper.setdefault('find_unused_parameters', config.get('find_unused_parameters', False))
    wrapper['device_ids'] = None
    config.model_wrapper_cfg = wrapper


def _choose_wrapper(config: Config) -> None:
    """Wrap a model with several backward passes per step in what exchanges gradients in the last of them."""
    if config.get('model', {}).get('passes') != 'sequential':
        return
    needed = 'medctx3d.SequentialDistributedDataParallel'  # mmengine looks wrappers up without our scope
    given = config.get('model_wrapper_cfg') or dict(
        broadcast_buffers=False, find_unused_parameters=config.get('find_unused_parameters', False)
    )
    if given.get('type', needed) != needed:
        raise ConfigError(
            f"model_wrapper_cfg.type is {given['type']!r}, but model.passes='sequential' needs {needed!r}: drop the "
            "type, or set model.passes='sum'"
        )
    config.model_wrapper_cfg = dict(given, type=needed)


def build_runner(config: Config, *, verbose: bool = False) -> Runner:
    """The Runner of a config.

    mmengine prints its environment, the config and every hook before it starts. All that goes to the log file; the
    console gets it only if asked, and warnings in any case. Worker processes of loaders begin with
    :func:`~medctx3d.datasets.seed_worker` unless the config says otherwise.

    Args:
        config: A complete config; completed in place.
        verbose: Leave mmengine's console log as it is.
    """
    for stage in ('train', 'val', 'test'):
        loader = config.get(f'{stage}_dataloader')
        if isinstance(loader, dict) and loader.get('num_workers', 0) > 0:
            loader.setdefault('worker_init_fn', dict(type='medctx3d.seed_worker'))
    if config.get('experiment_name') is None:  # mmengine tells runs apart by the second they begin in
        config.experiment_name = f'{Path(config.filename or "run").stem}_{os.getpid()}_{next(_RUNS)}'
    if verbose:
        return Runner.from_cfg(config)
    with contextlib.redirect_stdout(io.StringIO()):  # the console handler keeps the stream it finds when it is made
        runner = Runner.from_cfg(config)
    for handler in runner.logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stdout)
            handler.setLevel(logging.WARNING)
            handler.addFilter(_not_of_mmengines_own)
    return runner


def _not_of_mmengines_own(record: logging.LogRecord) -> bool:
    """Keep from the console what mmengine tells its own developers in every run."""
    return not any(name in record.getMessage() for name in ('FileClient', 'HardDiskBackend'))
