from __future__ import annotations

import pytest

from medctx3d.inference import PredictionOptions


def test_the_default_asks_for_nothing_beyond_the_config():
    options = PredictionOptions()
    assert (options.mirror_axes, options.max_memory, options.overlap, options.skip_air) == ((), None, None, False)
    assert (options.networks, options.resample, options.precision) == (None, None, 'float32')


@pytest.mark.parametrize(
    'wrong',
    [
        dict(mirror_axes=(3,)),
        dict(mirror_axes=(0, 0)),
        dict(max_memory=0),
        dict(overlap=1.0),
        dict(precision='int8'),
        dict(average='median'),
        dict(networks='nobody'),
        dict(resample='voxels'),
    ],
    ids=str,
)
def test_values_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PredictionOptions(**wrong)
