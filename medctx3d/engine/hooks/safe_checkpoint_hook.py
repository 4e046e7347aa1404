"""Saving that never leaves fewer readable checkpoints than before."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from medctx3d.registry import HOOKS
from medctx3d.utils.atomic import atomic_path


class AtomicLocalBackend(LocalBackend):
    """mmengine's local file backend, writing through a temporary file: a full disk leaves the old file whole."""

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes to ``filepath``, whole or not at all."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(filepath) as temporary:
            Path(temporary).write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to ``filepath``, whole or not at all."""
        self.put(obj.encode(encoding), filepath)


register_backend('local', AtomicLocalBackend, force=True, prefixes='')


class _RemovesLater(AtomicLocalBackend):
    """Notes what is to be removed: mmengine removes the previous best checkpoint before it saves the new one."""

    def __init__(self) -> None:
        self.outdated: list[str] = []

    def remove(self, filepath: str | Path) -> None:
        self.outdated.append(str(filepath))


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, deleting old files only after the new one is whole.

    mmengine deletes before it saves: with ``max_keep_ckpts=1`` and a disk that fills, no readable file is left.
    Arguments are those of mmengine's CheckpointHook.
    """

    file_backend: LocalBackend

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        backend = self.file_backend
        self.file_backend = later = _RemovesLater()
        try:
            super()._save_best_checkpoint(runner, metrics)
            for path in later.outdated:
                backend.remove(path)
        finally:
            self.file_backend = backend

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated: list[int] = []
        if self.max_keep_ckpts > 0:
            kept = [old for old in self.keep_ckpt_ids if old != step] + [step]
            outdated = kept[: -self.max_keep_ckpts]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept[-self.max_keep_ckpts :])
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = os.path.join(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        try:
            runner.save_checkpoint(
                self.out_dir,
                filename,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
            )
            if is_main_process():
                with atomic_path(os.path.join(runner.work_dir, 'last_checkpoint')) as temporary:
                    Path(temporary).write_text(self.last_ckpt)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            raise OSError(
                error.errno,
                f'checkpoint of step {step} could not be written to {self.out_dir}: {why}. The '
                'checkpoints before it are whole; free some space and continue with --resume',
            ) from error
        if is_main_process():
            for old in outdated:
                Path(self.out_dir, self.filename_tmpl.format(old)).unlink(missing_ok=True)
