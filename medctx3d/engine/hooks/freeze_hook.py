"""Parts of a model that do not learn, for all of a training or for its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from medctx3d.engine.unwrapped import unwrapped
from medctx3d.registry import HOOKS


@HOOKS.register_module()
class FreezeHook(Hook):
    """Keep parts of the model exactly as they are: no gradient, and no statistics, dropout or stochastic depth.

    Frozen modules stay in eval mode. Whether they are frozen is a function of the Runner's iteration alone, so a
    resumed run continues exactly. An optimiser holds no state for weights that never had a gradient, so momentum and
    weight decay do not move them either; once they thaw, their state begins anew.

    Frozen weights are given no gradient after a distributed wrapper has registered them: such runs need
    ``find_unused_parameters=True`` in the config.

    Args:
        modules: Names of modules of the model, such as ``network.backbone``; networks in ``WholeNet`` have an encoder
            under names of their own.
        until: Iteration from which on they learn, or a share of all iterations in (0, 1); None: never.

    Raises:
        ValueError: No modules, or ``until`` is neither.
    """

    priority = 'VERY_HIGH'

    def __init__(self, modules: Sequence[str] = ('network.backbone',), until: int | float | None = None) -> None:
        if not modules or isinstance(modules, str):
            raise ValueError(f"FreezeHook: modules must be names such as ('network.backbone',), got {modules!r}")
        share = isinstance(until, float)
        if until is not None and not (0 < until < 1 if share else until >= 1):
            raise ValueError(
                f'FreezeHook: until must be an iteration of at least 1, a share in (0, 1), or None, got {until!r}'
            )
        self.modules = tuple(modules)
        self.until = until
        self._held: list[nn.Parameter] | None = None  # those whose gradient this hook took away

    def before_train(self, runner: Runner) -> None:
        """Find the modules.

        Raises:
            ValueError: The model has no such module.
        """
        problem = absent_modules(unwrapped(runner), self.modules)
        if problem:
            raise ValueError(problem)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Freeze or thaw; the loop puts the whole model into train mode again after each validation."""
        parts = [unwrapped(runner).get_submodule(name) for name in self.modules]
        frozen = self.frozen_at(runner.iter, runner.max_iters)
        if frozen:
            if self._held is None:
                self._held = [weight for part in parts for weight in part.parameters() if weight.requires_grad]
                for weight in self._held:
                    weight.requires_grad_(False)
                    weight.grad = None
            for part in parts:
                part.eval()
        elif self._held is not None:
            for weight in self._held:
                weight.requires_grad_(True)
            for part in parts:
                part.train()
            self._held = None
        runner.message_hub.update_scalar('train/frozen', float(frozen))

    def frozen_at(self, iteration: int, max_iters: int) -> bool:
        """Whether the modules are frozen in an iteration (from 0) of ``max_iters``."""
        if self.until is None:
            return True
        end = round(self.until * max_iters) if isinstance(self.until, float) else self.until
        return iteration < end


def absent_modules(model: nn.Module, names: Sequence[str]) -> str:
    """What is wrong with the names of modules to freeze; empty if the model has all of them.

    Networks without a seam between encoder and decoder, such as those in ``WholeNet``, have no ``network.backbone``:
    the message has the parts that they do have.
    """
    known = dict(model.named_modules())
    absent = [name for name in names if name not in known]
    if not absent:
        return ''
    parts = dict.fromkeys(part for name in absent for part in _parts_near(known, name))
    return (
        f'FreezeHook: the model has no module {", ".join(absent)}; there it has {", ".join(parts)}: set modules= to '
        'those of the encoder, see docs/how_to/use_pretrained_weights.md'
    )


def _parts_near(known: dict[str, nn.Module], name: str) -> list[str]:
    """The modules with weights beside the one that is missing; a level that holds a single one is passed through."""
    while name not in known:
        name = name.rpartition('.')[0]
    found = [child for child, module in known[name].named_children() if next(module.parameters(), None) is not None]
    prefix = f'{name}.' if name else ''
    if len(found) == 1:
        return _parts_near(known, prefix + found[0])
    return [prefix + child for child in found] or [name]
