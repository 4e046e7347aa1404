"""Work on many volumes tells how far it is."""

from __future__ import annotations

import pytest

from medctx3d.datasets.parallel import work_through


@pytest.mark.parametrize(
    ('total', 'told'), [(1, [1]), (3, [1, 2, 3]), (25, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]), (0, [])]
)
def test_a_log_gets_a_line_at_every_tenth_while_the_work_goes_on(total, told, capsys):
    done, seen = [], []

    def work(job):
        seen.append((len(done), capsys.readouterr().err))
        done.append(job)

    work_through(work, range(total), 0, title='volumes', progress=True)
    last = capsys.readouterr().err
    assert done == list(range(total))
    assert ''.join(text for _, text in seen) + last == ''.join(f'volumes: {count} of {total}\n' for count in told)
    assert all(count in told for count, text in seen if text)  # said when that many were done, not at the end


def test_nothing_is_told_where_nobody_asks(capsys):
    work_through(str, range(3), 1, title='volumes', progress=False)
    assert capsys.readouterr().err == ''
