from __future__ import annotations

import numpy as np
import pytest

from medctx3d.visualization.difference import DIFFERENCES, difference_map


def test_every_way_of_being_wrong_has_its_code():
    truth, prediction = (np.array(values).reshape(1, 1, 5) for values in ([0, 1, 1, 0, 2], [0, 1, 0, 3, 1]))
    codes = difference_map(truth, prediction)
    assert codes.ravel().tolist() == [0, 0, 1, 2, 3]
    assert codes.dtype == np.uint8
    assert [name for name, _ in DIFFERENCES.values()] == ['missed', 'added', 'another class']


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r'\(2, 2, 2\) and \(2, 2, 3\)'):
        difference_map(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))
