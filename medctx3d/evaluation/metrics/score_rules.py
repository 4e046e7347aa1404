"""What is scored and how: checked before the first case, stated in every file of results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from medctx3d.evaluation.metrics.conventions import DEFAULT_CONVENTION, FILLINGS, MEANS, convention_of
from medctx3d.evaluation.metrics.metric_table import DEFAULT_METRICS, METRIC_NAMES, METRICS, SURFACE_METRICS
from medctx3d.evaluation.metrics.surfaces import SURFACE_RULES, area_tables
from medctx3d.registry import closest

Tolerance = float | Mapping[str, float]


class ScoreRules(NamedTuple):
    """How cases are scored; see :func:`check_rules`.

    Attributes:
        scores: Some of ``METRIC_NAMES``.
        nsd_tolerance_mm: Distance up to which two surfaces count as the same, one for all classes or one for each.
        convention: Key of ``CONVENTIONS``: what absent classes score, and how means are formed.
        surface: Key of ``SURFACE_RULES``: what a distance is measured between.
        means: Key of ``MEANS``, or None for the convention's.
    """

    scores: tuple[str, ...] = DEFAULT_METRICS
    nsd_tolerance_mm: Tolerance = 2.0
    convention: str = DEFAULT_CONVENTION
    surface: str = 'area'
    means: str | None = None

    @property
    def wants_surfaces(self) -> bool:
        """Whether a score needs distances between surfaces."""
        return not set(SURFACE_METRICS).isdisjoint(self.scores)

    @property
    def aggregation(self) -> str:
        """Key of ``MEANS`` that holds."""
        return self.means or convention_of(self.convention).means

    def tolerance_of(self, name: str) -> float:
        """Tolerance of NSD for a class, in mm."""
        tolerance = self.nsd_tolerance_mm
        return float(tolerance[name] if isinstance(tolerance, Mapping) else tolerance)


def check_rules(rules: ScoreRules) -> None:
    """Refuse rules that cannot be followed, before the first case.

    Raises:
        ValueError: A metric, the convention, the surface or the means are unknown, or a tolerance is not positive.
        ImportError: The surface needs the package ``surface-distance``, and it is not installed.
    """
    if not rules.scores:
        raise ValueError(f'scores must be some of {METRIC_NAMES}, got none')
    for name in rules.scores:
        _one_of('scores', name, METRIC_NAMES)
    convention_of(rules.convention)
    _one_of('surface', rules.surface, SURFACE_RULES)
    if rules.means is not None:
        _one_of('means', rules.means, MEANS)
    given = rules.nsd_tolerance_mm
    for tolerance in given.values() if isinstance(given, Mapping) else [given]:
        if not tolerance > 0:
            raise ValueError(f'nsd_tolerance_mm must be a distance above 0 mm, got {tolerance}')
    if rules.wants_surfaces and rules.surface == 'area':
        area_tables()


def check_tolerances(rules: ScoreRules, names: Iterable[str]) -> None:
    """Refuse a tolerance per class that lacks a class, or names one that there is not.

    Raises:
        ValueError: With the names.
    """
    given, known = rules.nsd_tolerance_mm, list(names)
    if 'nsd' not in rules.scores or not isinstance(given, Mapping):
        return
    missing, unknown = [name for name in known if name not in given], [name for name in given if name not in known]
    if missing or unknown:
        raise ValueError(
            f'nsd_tolerance_mm must name every class that is scored and no other; missing: {missing or "none"}, '
            f'unknown: {unknown or "none"}. Give one number for all, or correct the names'
        )


def state_rules(rules: ScoreRules) -> dict[str, Any]:
    """The rules in full, names and words, for ``rules`` in a file of results."""
    convention = convention_of(rules.convention)
    stated: dict[str, Any] = dict(
        scores=list(rules.scores),
        definitions={name: METRICS[name].text for name in rules.scores},
        convention=rules.convention,
        convention_text=convention.text,
        absent={situation: {name: row[name] for name in rules.scores} for situation, row in convention.absent.items()},
        absent_words=FILLINGS,
        means=rules.aggregation,
        means_text=MEANS[rules.aggregation],
    )
    if rules.wants_surfaces:
        stated.update(surface=rules.surface, surface_text=SURFACE_RULES[rules.surface])
    if 'nsd' in rules.scores:
        given = rules.nsd_tolerance_mm
        stated['nsd_tolerance_mm'] = dict(given) if isinstance(given, Mapping) else float(given)
    return stated


def _one_of(argument: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = closest(str(name), list(known), count=1)
        hint = f' Did you mean {near[0]!r}?' if near else ''
        raise ValueError(f'{argument} must be of {", ".join(known)}, got {name!r}.{hint}')
