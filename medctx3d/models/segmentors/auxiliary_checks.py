"""What a segmentor asks of its auxiliary heads."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from medctx3d.models.heads.auxiliary_head import AuxiliaryHead


def check_auxiliary(heads: Mapping[str, nn.Module], *, has_teacher: bool) -> None:
    """See that auxiliary heads are such, and that one which follows a teacher has one.

    Raises:
        TypeError: A head is no :class:`AuxiliaryHead`.
        ValueError: A head needs a teacher that is not there.
    """
    for name, head in heads.items():
        if not isinstance(head, AuxiliaryHead):
            raise TypeError(f'auxiliary head {name!r} must be an AuxiliaryHead, got {type(head).__name__}')
        if head.requires_teacher and not has_teacher:
            raise ValueError(
                f'auxiliary head {name!r} ({type(head).__name__}) follows a teacher, but the model has none: '
                "add teacher=dict(type='EMATeacher') to the model"
            )
