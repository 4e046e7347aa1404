"""The page in the distribution's chromium, at the width of a desktop and of a phone.

Needs chromium and requirements/browser.txt, and is skipped where either is missing; `make browser` brings the second.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from helpers_reporting import swap_splits, write_test, write_training

from medctx3d.reporting import write_report

sync_api = pytest.importorskip('playwright.sync_api', reason='needs requirements/browser.txt')
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
SOFTWARE_GL = ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader']
SIZES = {'desktop': (1440, 600), 'phone': (390, 844)}
PATIENCE = 120_000  # ms, for a busy machine

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason='needs chromium, e.g. apt-get install chromium'),
]


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    from conftest import nifti_dataset

    root = swap_splits(nifti_dataset.__wrapped__(tmp_path_factory.mktemp('data')))
    run = tmp_path_factory.mktemp('run')
    write_training(run, root)
    write_test(run, root)
    return write_report(run, cases=2)


@pytest.fixture(scope='module')
def chromium() -> Iterator:
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GL)


@pytest.fixture(scope='module', params=list(SIZES))
def page(request, report, chromium) -> Iterator:
    """The page with its viewer ready, and in ``page.heard`` whatever it asked for or complained of."""
    width, height = SIZES[request.param]
    touch = request.param == 'phone'
    context = chromium.new_context(
        viewport=dict(width=width, height=height), offline=True, has_touch=touch, reduced_motion='reduce'
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.heard = []
    page.on('console', lambda message: page.heard.append(f'{message.type}: {message.text}'))
    page.on('pageerror', lambda error: page.heard.append(f'error: {error}'))
    page.on('request', lambda asked: page.heard.append(asked.url))
    page.goto(report.page.as_uri())
    page.wait_for_selector('#viewer-canvas[data-ready]')
    yield page
    context.close()


def picture(page) -> bytes:
    page.wait_for_timeout(200)  # the next frame
    return page.locator('#viewer-canvas').screenshot()


def column(page, number: int) -> list[str]:
    return page.locator(f'#case-table tbody tr > *:nth-child({number})').all_inner_texts()


def told(page) -> str:
    return page.inner_text('#viewer-told')


def slide(page, axis: int, value: int) -> None:
    page.locator(f'#slice-{axis}').fill(str(value))


def test_the_page_fits_its_width(page):
    assert page.evaluate('document.documentElement.scrollWidth') <= page.viewport_size['width']


def test_the_viewer_scrolls(page):
    page.select_option('#viewer-plane', '0')
    slide(page, 2, 6)
    first = picture(page)
    assert 'axial 7 of 18' in told(page)
    slide(page, 2, 11)
    assert 'axial 12 of 18' in told(page)
    assert picture(page) != first
    slide(page, 2, 6)
    assert picture(page) == first


def test_the_wheel_moves_through_slices(page):
    page.select_option('#viewer-plane', '0')
    canvas = page.locator('#viewer-canvas')
    canvas.click()
    before = told(page).split(',')[0]
    page.mouse.wheel(0, 100)
    page.wait_for_function(
        'before => !document.getElementById("viewer-told").textContent.startsWith(before)', arg=before
    )


def test_overlays_are_switched_on_and_off(page):
    page.select_option('#viewer-plane', '0')
    slide(page, 2, 8)
    page.uncheck('#layer-prediction')
    bare = picture(page)
    shown = {bare}
    for layer in ('truth', 'prediction', 'difference'):
        page.check(f'#layer-{layer}')
        shown.add(picture(page))
        page.uncheck(f'#layer-{layer}')
    assert len(shown) == 4
    page.check('#layer-prediction')
    page.locator('#viewer-opacity').fill('0')
    assert picture(page) == bare
    page.locator('#viewer-opacity').fill('50')


def test_another_case_is_shown(page):
    page.select_option('#viewer-case', '0')
    first = picture(page)
    page.select_option('#viewer-case', '1')
    assert picture(page) != first


def test_the_table_sorts_by_any_metric_and_class(page):
    hd95 = page.get_by_role('button', name='HD95')
    hd95.click()
    assert column(page, 3) == ['1.00', '2.00', '3.00', '4.00']
    hd95.click()
    assert column(page, 3) == ['4.00', '3.00', '2.00', '1.00']
    assert page.locator('#case-table [aria-sort=descending]').inner_text().startswith('HD95')
    page.get_by_role('button', name='case').click()
    assert column(page, 1) == ['image0', 'image1', 'image2', 'image3']
    page.select_option('#case-class', 'far')
    page.get_by_role('button', name='Dice').click()
    assert column(page, 2) == ['0.5000', '0.5000', '0.5000', '–']
    page.select_option('#case-class', '')


def test_nothing_is_requested_and_nothing_complains(page, report):
    own = report.page.as_uri()
    assert [line for line in page.heard if line != own and not line.startswith(('data:', 'blob:'))] == []
