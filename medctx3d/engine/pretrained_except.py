"""Pretrained weights for a network, apart from the layers that are named."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mmengine.logging import print_log
from mmengine.model import update_init_info
from torch import nn

from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file
from medctx3d.registry import WEIGHT_INITIALIZERS

SHOWN = 5


@WEIGHT_INITIALIZERS.register_module()
class PretrainedExcept:
    """Start from a checkpoint, the layers that are named aside: one line of ``init_cfg``.

    mmengine's ``Pretrained`` loads what fits and warns of the rest. Here the rest is stated, such as the output layer
    of a pretext task with another number of classes, and everything else must be in the file and fit.

    Args:
        checkpoint: The file.
        prefix: What stands before the names of the module in the file, such as ``network.``.
        leave_out: Names of the module that keep their initial values, with ``*`` for any part of one:
            ``('decode_head.outs.*',)``.
    """

    def __init__(self, checkpoint: str, *, prefix: str = '', leave_out: Sequence[str] = ()) -> None:
        self.checkpoint, self.prefix, self.leave_out = checkpoint, prefix, tuple(leave_out)

    def __call__(self, module: nn.Module) -> None:
        """Load into a module that is being initialised; all of it or, where something is wrong, nothing.

        Raises:
            FileNotFoundError: There is no such file.
            CheckpointError: It is damaged, lacks weights or has others, or a name to leave out is no name of the
                module.
        """
        content = load_checkpoint_file(self.checkpoint)
        found = content.get('state_dict', content)
        own = module.state_dict()
        kept = {name for name in own if any(fnmatchcase(name, pattern) for pattern in self.leave_out)}
        idle = [pattern for pattern in self.leave_out if not any(fnmatchcase(name, pattern) for name in own)]
        weights = {name: found[self.prefix + name] for name in own if name not in kept and self.prefix + name in found}
        missing = [name for name in own if name not in kept and name not in weights]
        shapes = [
            f'{name}: {tuple(value.shape)} in the file, {tuple(own[name].shape)} here'
            for name, value in weights.items()
            if value.shape != own[name].shape
        ]
        problems = [
            f'{len(names)} {what}: {", ".join(names[:SHOWN])}{", ..." if len(names) > SHOWN else ""}'
            for what, names in (
                (f'missing (under the prefix {self.prefix!r})', missing),
                ('of another shape', shapes),
                ('to leave out that this network has not', idle),
            )
            if names
        ]
        if problems:
            raise CheckpointError(
                f'checkpoint {self.checkpoint} does not fit {type(module).__name__}: {"; ".join(problems)}. Use the '
                'config that it was pretrained for, or name in leave_out what is to start anew'
            )
        module.load_state_dict(weights, strict=False)
        told = f'{len(weights)} tensors loaded, {len(kept)} left out by name: {", ".join(sorted(kept)) or "none"}'
        print_log(f'{self.checkpoint}: {told}', logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'PretrainedExcept: {self.checkpoint}')
