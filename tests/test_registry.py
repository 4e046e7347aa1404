"""Registries: mirrored from mmengine, helpful when a name is wrong."""

from __future__ import annotations

import pytest
from mmengine.registry import Registry, root
from torch import nn

from medctx3d import registry as registries
from medctx3d.registry import (
    BACKBONES,
    HEADS,
    LOSSES,
    MASKINGS,
    MODELS,
    REGISTRIES,
    check_arguments,
    list_components,
    register_all_modules,
)

OWN = {'BACKBONES', 'HEADS', 'LOSSES', 'MASKINGS', 'POSTPROCESSING'}


def test_every_registry_of_mmengine_has_a_child_under_our_scope() -> None:
    theirs = {name: value for name, value in vars(root).items() if isinstance(value, Registry)}
    assert set(theirs) == set(REGISTRIES) - OWN
    for name, parent in theirs.items():
        assert REGISTRIES[name].parent is parent, name
        assert REGISTRIES[name].scope == 'medctx3d'


def test_entry_points_of_users_are_roots() -> None:
    for name in OWN:
        assert REGISTRIES[name].parent is None


@pytest.mark.parametrize(
    ('registry', 'wrong', 'right'),
    [
        (MASKINGS, 'TubMask', 'TubeMask'),
        (LOSSES, 'ConsistancyLoss', 'ConsistencyLoss'),
        (MODELS, 'wholenet', 'WholeNet'),
    ],
)
def test_unknown_name_answers_with_registry_close_names_and_recipe(registry: Registry, wrong: str, right: str) -> None:
    with pytest.raises(KeyError) as caught:
        registry.build(dict(type=wrong))
    message = str(caught.value)
    assert wrong in message
    assert right in message
    assert f'medctx3d::{registry.name}' in message
    assert '.register_module()' in message
    assert 'custom_imports' in message


def test_unknown_argument_answers_with_the_closest_one() -> None:
    with pytest.raises(TypeError, match=r"TubeMask takes no argument 'ratoi'.*Did you mean 'ratio'"):
        MASKINGS.build(dict(type='TubeMask', ratoi=0.4))


def test_arguments_of_a_component_that_takes_any_are_left_to_it() -> None:
    def open_component(**anything: int) -> None: ...

    check_arguments(open_component, dict(type='x', whatever=1))


def test_a_loss_cannot_stand_where_a_backbone_belongs() -> None:
    with pytest.raises(KeyError, match='backbone registry'):
        BACKBONES.build(dict(type='SegCriterion'))


def test_dotted_path_builds_a_monai_component() -> None:
    loss = LOSSES.build(dict(type='monai.losses.DiceLoss', sigmoid=True))
    assert type(loss).__name__ == 'DiceLoss'
    assert isinstance(loss, nn.Module)


@pytest.mark.parametrize('kind', ['MASKINGS', 'masking', 'maskings'])
def test_components_are_listed_by_either_name_of_a_registry(kind: str) -> None:
    rows = list_components(kind)
    assert {'BlockMask', 'RandomMask', 'TubeMask'} <= set(rows)
    assert list(rows) == sorted(rows)


def test_every_component_has_a_docstring_line() -> None:
    silent = [f'{kind}.{name}' for kind in REGISTRIES for name, line in list_components(kind).items() if not line]
    assert silent == []


def test_unknown_kind_lists_all_kinds() -> None:
    with pytest.raises(KeyError, match=r'BACKBONES.*MASKINGS'):
        list_components('backbonez')


def test_register_all_modules_fills_every_entry_point() -> None:
    register_all_modules()
    for registry in (BACKBONES, HEADS, LOSSES, MASKINGS, registries.HOOKS, registries.METRICS, registries.TRANSFORMS):
        assert registry.module_dict, registry.name
