"""Which names stand for which class ids: classes, and regions that several classes make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medctx3d.registry import closest


def scored_classes(
    classes: Sequence[str], regions: Mapping[str, Sequence[str]] | None = None
) -> dict[str, int | tuple[int, ...]]:
    """Name to class id for every foreground class, then name to ids for every region.

    Args:
        classes: Names by id, the background first.
        regions: Name of a region to the classes that it is made of.

    Raises:
        ValueError: There is no foreground class, or a region has a class's name, no class, or one that there is not.
    """
    if len(classes) < 2:
        raise ValueError(f'class names are needed, background first: classes=(...), got {classes!r}')
    names: dict[str, int | tuple[int, ...]] = {name: label for label, name in enumerate(classes) if label > 0}
    found: dict[str, tuple[int, ...]] = {}
    for region, members in (regions or {}).items():
        if region in names:
            raise ValueError(f'regions: {region!r} is the name of a class; give the region another')
        if isinstance(members, str) or not members:
            raise ValueError(f'regions: {region!r} must be a list of class names, got {members!r}')
        unknown = [name for name in members if name not in names]
        if unknown:
            near = closest(unknown[0], list(names), count=1)
            hint = f' Did you mean {near[0]!r}?' if near else ''
            raise ValueError(f'regions: {region!r} names {unknown}, which are no classes of {list(names)}.{hint}')
        found[region] = tuple(list(classes).index(name) for name in members)
    return {**names, **found}
