"""What a segmentor asks of its auxiliary heads, and what it tells them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.registry import HEADS


def build_head(head: dict | nn.Module, network: nn.Module) -> nn.Module:
    """Build an auxiliary head; one that reads the decoder's features learns their number from the network.

    Raises:
        ValueError: The network hands out no such features.
    """
    if not isinstance(head, dict):
        return head
    component = HEADS.get(head['type']) if isinstance(head.get('type'), str) else head.get('type')
    if not getattr(component, 'requires_decoded', False):
        return HEADS.build(head)
    channels = getattr(network, 'decoded_channels', None)
    if channels is None and 'in_channels' not in head:
        raise ValueError(
            f"{head['type']} reads the decoder's features, and {type(network).__name__} hands out none: use "
            "dict(type='EncoderDecoder', ...) with a decode head of this package, or one that derives from Decoder"
        )
    return HEADS.build(head, default_args=dict(in_channels=channels))


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
