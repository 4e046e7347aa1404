"""The model inside a distributed wrapper."""

from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


def unwrapped(runner: Runner) -> Any:
    """The Runner's model without the wrapper of a distributed run."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
