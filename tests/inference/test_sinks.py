from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch

from medctx3d.inference import EntropyFile, ProbabilityFile, map_files
from medctx3d.typing import Planes

AFFINE = np.array([[-1.5, 0, 0, 40], [0, -1.5, 0, 30], [0, 0, 4, -20], [0, 0, 0, 1.0]])


def write_in_turns(sinks, scores, axis, order):
    for start in order:
        for sink in sinks:
            sink.write(Planes(axis, start, scores.narrow(axis + 1, start, 1)))


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_maps_hold_the_softmax_and_its_entropy_on_the_grid(tmp_path, axis):
    scores = 3 * torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(axis))
    paths = {ProbabilityFile: tmp_path / 'p.nii', EntropyFile: tmp_path / 'e.nii'}
    with map_files(paths, AFFINE, (5, 6, 7)) as sinks:
        write_in_turns(sinks, scores, axis, reversed(range(scores.shape[axis + 1])))
        assert not paths[EntropyFile].exists()
    shown, entropy = (nib.load(path) for path in paths.values())
    expected = scores.softmax(0).movedim(0, 3).numpy()
    assert shown.get_data_dtype() == np.uint16
    np.testing.assert_array_equal(shown.affine, AFFINE)
    np.testing.assert_allclose(shown.get_fdata(), expected, atol=1e-5)
    assert entropy.shape == (5, 6, 7)
    np.testing.assert_allclose(entropy.get_fdata(), -(expected * np.log(expected)).sum(-1), atol=3e-5)


def test_nothing_half_written_remains(tmp_path):
    def interrupted():
        with map_files({ProbabilityFile: tmp_path / 'p.nii'}, AFFINE, (5, 6, 7)) as sinks:
            write_in_turns(sinks, torch.zeros(2, 5, 6, 7), 0, [0, 1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_compressed_file_cannot_be_written_in_planes(tmp_path):
    with (
        pytest.raises(ValueError, match=r'p\.nii\.gz: .* name it \.nii'),
        map_files({ProbabilityFile: tmp_path / 'p.nii.gz'}, AFFINE, (5, 6, 7)),
    ):
        pass
