"""Does every objective pull, and is the representation alive?"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from medctx3d.engine.left_alone import left_alone
from medctx3d.engine.unwrapped import unwrapped
from medctx3d.registry import HOOKS
from medctx3d.utils.collapse import collapse_indicators, positions_as_rows


@HOOKS.register_module()
class ObjectiveMonitorHook(Hook):
    """Log, every ``interval`` iterations, how hard each objective pulls at the network.

    The batch just trained on is passed through the model once more, outside the optimiser; weights, buffers and random
    states are left as they were. Logged under ``train/monitor/``:

    - ``gradient/<term>``: norm of the gradient of each loss term over all trained parameters, and
      ``gradient_ratio/<term>``: the same over that of the supervised terms together. An auxiliary term whose ratio
      stays under ``least`` does not train the network: a warning says so.
    - what the heads log besides their losses, such as the disagreement of student and teacher on hidden and on visible
      voxels.
    - ``features/...``: collapse indicators of the deepest features
      (:func:`~medctx3d.utils.collapse.collapse_indicators`); none for a network that shows no features.

    The cost is one forward and one backward pass per loss term, every ``interval`` iterations.

    Args:
        interval: Iterations between two looks.
        least: Ratio of gradient norms under which a term counts as absent.
        patience: Looks in a row under ``least`` before the warning.

    Raises:
        ValueError: An interval or patience below 1, or a negative ``least``.
    """

    priority = 'NORMAL'  # before LoggerHook

    def __init__(self, interval: int = 200, *, least: float = 0.01, patience: int = 3) -> None:
        if interval < 1 or patience < 1 or least < 0:
            raise ValueError(
                'ObjectiveMonitorHook: interval and patience must be 1 or more and least not negative, got '
                f'{interval}, {patience} and {least}'
            )
        self.interval = interval
        self.least = least
        self.patience = patience
        self.weak: dict[str, int] = defaultdict(int)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Look, where it is time."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        model = unwrapped(runner)
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        scale = float(scaler.get_scale()) if scaler is not None else 1.0
        with left_alone(model), runner.optim_wrapper.optim_context(model):
            data = model.data_preprocessor(data_batch, True)
            terms = model(**data, mode='loss')
            norms = gradient_norms(model, terms, scale)
            features = getattr(model(data['inputs'], mode='tensor'), 'features', ())
        seen = {f'gradient/{name}': norm for name, norm in norms.items()}
        supervised = norms['supervised']
        ratios = {name: norm / supervised for name, norm in norms.items() if name != 'supervised' and supervised > 0}
        seen |= {f'gradient_ratio/{name}': ratio for name, ratio in ratios.items()}
        seen |= {name: float(value) for name, value in terms.items() if 'loss' not in name}
        if features:
            deepest = positions_as_rows(features[-1].detach())  # (N * positions, C)
            if len(deepest) > 1:
                indicators = collapse_indicators(deepest)
                seen |= {f'features/{name}': value for name, value in indicators.items()}
        for name, value in seen.items():
            runner.message_hub.update_scalar(f'train/monitor/{name}', value)
        self._warn(runner, model, ratios)

    def _warn(self, runner: Runner, model: nn.Module, ratios: dict[str, float]) -> None:
        for name, ratio in ratios.items():
            head = getattr(model, 'auxiliary', {})[name.partition('.')[0]]
            weak = ratio < self.least and head.ramp >= 1  # a ramp starts at nothing by design
            self.weak[name] = self.weak[name] + 1 if weak else 0
            if self.weak[name] == self.patience:
                print_log(
                    f'iteration {runner.iter + 1}: the gradient of {name} has been under {self.least:.0%} of the '
                    f'supervised one for {self.patience} looks (now {ratio:.2%}): this objective does not train the '
                    'network. Raise its weight, or choose a form that does not shrink with the crop '
                    "(ConsistencyLoss(normalize='mean_square')); docs/explanation/medcontext.md has the arithmetic",
                    logger='current',
                    level=30,
                )


def gradient_norms(model: nn.Module, terms: dict[str, Tensor], scale: float = 1.0) -> dict[str, float]:
    """Norm of the gradient of every objective over the parameters that train.

    Args:
        model: Whose parameters.
        terms: From ``model(..., mode='loss')``; names with ``loss`` are differentiated, those without a dot together.
        scale: Factor during the backward pass, against underflow in half precision.

    Returns:
        By objective: ``supervised``, and every auxiliary term by its name without ``loss_``.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    objectives: dict[str, list[Tensor]] = defaultdict(list)
    for name, value in terms.items():
        if 'loss' in name:
            objectives[name.replace('loss_', '') if '.' in name else 'supervised'].append(value)
    norms = {}
    for name, values in objectives.items():
        total = torch.stack(values).sum()
        if not total.requires_grad:  # such as a term whose weight is 0 by a mask that hides no foreground
            norms[name] = 0.0
            continue
        gradients = torch.autograd.grad(total * scale, weights, retain_graph=True, allow_unused=True)
        norms[name] = float(torch.stack([g.float().norm() for g in gradients if g is not None]).norm()) / scale
    return norms
