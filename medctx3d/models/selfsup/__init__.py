"""Pretraining methods: networks that learn from volumes without labels."""

from medctx3d.models.selfsup.lrc import LRC
from medctx3d.models.selfsup.moco import MoCo
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor

__all__ = ['LRC', 'MoCo', 'SelfSupervisor']
