from __future__ import annotations

import pytest

from medctx3d.utils.sizes import parse_size, show_size


@pytest.mark.parametrize(
    ('text', 'count'),
    [('4GB', 4 * 10**9), ('4 GiB', 4 * 2**30), ('1.5g', 15 * 10**8), ('800mb', 8 * 10**8), ('123', 123), (7, 7)],
)
def test_amounts_read_as_people_write_them(text, count):
    assert parse_size(text) == count


@pytest.mark.parametrize('text', ['', 'lots', '-4GB', '4XB', '0GB', '4 GB each', 'i', '4i'])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match=r"must read like '4GB'"):
        parse_size(text)


@pytest.mark.parametrize(('count', 'text'), [(1_409_286_144, '1.41 GB'), (5_300_000, '5.3 MB'), (12, '12 B')])
def test_amounts_are_shown_in_a_unit_that_fits(count, text):
    assert show_size(count) == text
