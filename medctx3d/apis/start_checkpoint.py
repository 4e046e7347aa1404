"""What a training starts from, judged before it starts."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import all_gather_object, get_world_size
from torch import nn

from medctx3d.engine.checkpoint import CheckpointError, check_fit, load_checkpoint_file
from medctx3d.engine.checkpoint_store import POINTER, CheckpointStore


def settle_start(config: Config, model: nn.Module) -> str:
    """Settle which checkpoint a training begins with, and refuse one that does not fit.

    ``resume`` without a file takes the newest whole checkpoint of the work dir; with none there, training starts anew.

    Args:
        config: Changed in place: ``resume`` and ``load_from`` say what will happen.
        model: Of the config, on any device.

    Returns:
        A sentence for the user; empty where there is nothing to say.

    Raises:
        FileNotFoundError: The checkpoint that is named does not exist.
        CheckpointError: It is damaged, foreign, or made for another network.
    """
    resume, store = bool(config.get('resume')), CheckpointStore(config.work_dir)
    passed_over = ''
    if resume and not config.get('load_from'):
        newest, passed_over = newest_whole(store)
        if newest is None:
            config.resume = False
            return (
                f'{passed_over}there is no checkpoint in {config.work_dir} to resume from: '
                'training starts at iteration 0'
            )
        config.load_from = str(newest)
    if config.get('load_from'):
        return passed_over + _check(config, model, resume=resume)
    earlier = next(store.candidates(), None)
    if earlier is not None:
        return (
            f'{config.work_dir} holds an earlier run ({earlier.name}), whose checkpoints this run will replace: stop '
            'and give another --work-dir to keep them, or --resume to go on from them'
        )
    return ''


def is_restarted(work_dir: str) -> bool:
    """Whether torchrun started this process again, after another of the job had died.

    Args:
        work_dir: Of the training.

    Raises:
        ValueError: torchrun may start the job again, but the work dir holds another run's checkpoints, from which a
            job that died before its first checkpoint would then go on.
    """
    if int(os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')) > 0:
        return True
    earlier = next(CheckpointStore(work_dir).candidates(), None)
    if int(os.environ.get('TORCHELASTIC_MAX_RESTARTS', '0')) > 0 and earlier is not None:
        raise ValueError(
            f'--work-dir {work_dir} holds an earlier run ({earlier.name}), and a restarted job could go on from it: '
            'give another --work-dir, or --resume if that is what you want'
        )
    return False


def agree_on_start(config: Config) -> None:
    """See that all ranks begin with the same checkpoint; to be called by all, once they can talk.

    Args:
        config: After :func:`settle_start`.

    Raises:
        CheckpointError: They do not, because they see other files.
    """
    if get_world_size() == 1:
        return
    mine = os.path.basename(config.get('load_from') or '') or 'no checkpoint'
    starts = all_gather_object(f'{mine} on {socket.gethostname()}')
    names = [start.partition(' on ')[0] for start in starts]
    if len(set(names)) > 1:
        other = next(rank for rank, name in enumerate(names) if name != names[0])
        raise CheckpointError(
            f'the ranks would begin with different checkpoints: rank 0 with {starts[0]}, rank {other} with '
            f'{starts[other]}. The work dir {config.work_dir} must lie on a disk that all machines share'
        )


def newest_whole(store: CheckpointStore) -> tuple[Path | None, str]:
    """The newest checkpoint of a work dir that is as it was written.

    Returns:
        The file, None where there is none at all, and a sentence for each newer one that was passed over, and for one
        of another folder that ``last_checkpoint`` names.

    Raises:
        CheckpointError: There are checkpoints, and all of them are damaged.
    """
    damaged: list[Path] = []
    elsewhere = store.pointed_elsewhere()
    told = f'{store.folder / POINTER} names {elsewhere}, in another folder, and is ignored. ' if elsewhere else ''
    for path in store.candidates():
        if not store.is_damaged(path) and _is_readable(path):
            return path, told + ''.join(f'{bad} is damaged and passed over. ' for bad in damaged)
        damaged.append(path)
    if damaged:
        names = ', '.join(path.name for path in damaged)
        raise CheckpointError(
            f'none of the checkpoints in {store.folder} can be read ({names}): the disk may be failing. Copy them '
            'again from a backup, or start anew in another --work-dir'
        )
    return None, told


def _is_readable(path: Path) -> bool:
    try:
        load_checkpoint_file(path, map_location='meta')
    except CheckpointError:
        return False
    return True


def _check(config: Config, model: nn.Module, *, resume: bool) -> str:
    path = config.load_from
    content = load_checkpoint_file(path)  # with values: NaN is noticed here, not after an hour of training
    weights = content.get('state_dict', content)
    if not isinstance(weights, dict):
        raise CheckpointError(f'checkpoint {path} holds no weights: state_dict is a {type(weights).__name__}')
    if not resume:
        plain = {key.removeprefix('module.'): value for key, value in weights.items()}  # as mmengine will read them
        check_fit(model, plain, f'load_from={path}', optional=('teacher.', 'auxiliary.'))
        return ''
    lacking = [key for key in ('meta', 'message_hub', 'optimizer', 'param_schedulers') if key not in content]
    if lacking == ['param_schedulers'] and not config.get('param_scheduler'):
        lacking = []
    if lacking:
        raise CheckpointError(
            f'checkpoint {path} cannot be resumed from, it has no {", ".join(lacking)}: start from its weights with '
            f'--cfg-options load_from={path} and without --resume'
        )
    check_fit(model, weights, f'checkpoint {path} (to resume)', optional=())
    done, total = content['meta'].get('iter', 0), config.train_cfg.get('max_iters')
    if total and done >= total:
        return f'{path} is at iteration {done} of {total}: nothing is left to train, unless train_cfg.max_iters grows'
    return f'resuming from {path}, iteration {done}'
