"""What a training starts from, judged before it starts."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from torch import nn

from medctx3d.engine.checkpoint import CheckpointError, check_fit, load_checkpoint_file
from medctx3d.engine.checkpoint_store import CheckpointStore


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
            return f'there is no checkpoint in {config.work_dir} to resume from: training starts at iteration 0'
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


def newest_whole(store: CheckpointStore) -> tuple[Path | None, str]:
    """The newest checkpoint of a work dir that is as it was written.

    Returns:
        The file, None where there is none at all, and a sentence for each newer one that was passed over.

    Raises:
        CheckpointError: There are checkpoints, and all of them are damaged.
    """
    damaged: list[Path] = []
    for path in store.candidates():
        if not store.is_damaged(path) and _is_readable(path):
            return path, ''.join(f'{bad} is damaged and passed over. ' for bad in damaged)
        damaged.append(path)
    if damaged:
        names = ', '.join(path.name for path in damaged)
        raise CheckpointError(
            f'none of the checkpoints in {store.folder} can be read ({names}): the disk may be failing. Copy them '
            'again from a backup, or start anew in another --work-dir'
        )
    return None, ''


def _is_readable(path: Path) -> bool:
    try:
        load_checkpoint_file(path, map_location='meta')
    except CheckpointError:
        return False
    return True


def _check(config: Config, model: nn.Module, *, resume: bool) -> str:
    path = config.load_from
    content = load_checkpoint_file(path, map_location='meta')  # names and shapes; a file cut short is noticed too
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
