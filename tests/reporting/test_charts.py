"""Charts that take their colours from the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from medctx3d.reporting.svg import HEIGHT, WIDTH, box_chart, line_chart


def parts(svg, tag):
    return [part for part in ElementTree.fromstring(str(svg)).iter() if part.tag == tag]


def test_points_lie_inside_and_in_order():
    svg = line_chart('a', {'loss': [(0, 4.0), (50, 2.0), (100, 1.0)]})
    (line,) = parts(svg, 'polyline')
    points = [tuple(map(float, point.split(','))) for point in line.get('points').split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # a falling value goes down the picture


def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios():
    (line,) = parts(line_chart('a', {'x': [(0, 100.0), (1, 10.0), (2, 1.0)]}, log=True), 'polyline')
    y = [float(point.split(',')[1]) for point in line.get('points').split()]
    assert y[1] - y[0] == pytest.approx(y[2] - y[1], abs=0.2)


def test_a_curve_that_reaches_zero_has_a_linear_axis():
    (line,) = parts(line_chart('a', {'x': [(0, 2.0), (1, 1.0), (2, 0.0)]}, log=True), 'polyline')
    y = [float(point.split(',')[1]) for point in line.get('points').split()]
    assert y[1] - y[0] == pytest.approx(y[2] - y[1], abs=0.2)


@pytest.mark.parametrize('points', [[(5, 1.0)], [(5, 0.0)], [(0, 2.0), (10, 2.0)]])
def test_one_point_and_a_constant_are_drawn(points):
    for log in (False, True):
        assert parts(line_chart('a', {'x': points}, log=log), 'polyline')


def test_a_box_spans_the_quartiles():
    cases = [(str(i), float(i)) for i in range(5)]
    svg = box_chart('a', {'liver': cases, 'spleen': []}, unit='mm')
    (box,) = parts(svg, 'rect')
    dots = [float(dot.get('cx')) for dot in parts(svg, 'circle')]
    assert float(box.get('x')) == pytest.approx(dots[1])
    assert float(box.get('x')) + float(box.get('width')) == pytest.approx(dots[3], abs=0.2)
    assert 'spleen: no case' in svg


def test_no_case_gives_no_chart():
    assert box_chart('a', {'liver': []}, unit='mm') == ''


def test_names_cannot_break_out():
    name = '<script>"&'
    for svg in (line_chart(name, {name: [(0, 1.0)]}), box_chart(name, {name: [(name, 1.0)]}, unit=name)):
        ElementTree.fromstring(str(svg))
        assert not re.search('<script', svg)
