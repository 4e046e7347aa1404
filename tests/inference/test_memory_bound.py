"""What a prediction holds in memory, measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

from medctx3d.inference import StreamedWindowInferer
from medctx3d.utils.process_memory import forget_peak, held_memory, peak_memory

ROOT = Path(__file__).resolve().parents[2]
CLASSES = 14


def peak_of(call):
    """Bytes that a call takes at most beyond what is held before."""
    if not forget_peak():
        pytest.skip('the system does not tell a peak of its own for a part of a process')
    before = held_memory()
    call()
    return peak_memory() - before


def test_scores_of_a_layer_are_held_and_not_those_of_the_volume():
    torch.manual_seed(0)
    volume, network = torch.randn(1, 1, 480, 72, 72), nn.Conv3d(1, CLASSES, 1)
    scores = CLASSES * 4 * volume.numel()
    streamed = peak_of(lambda: StreamedWindowInferer((24, 24, 24)).segment(volume[0], network))
    with torch.no_grad():
        plain = peak_of(lambda: SlidingWindowInferer((24, 24, 24), mode='gaussian')(volume, network))
    assert plain > 0.9 * scores
    assert streamed < 0.3 * scores


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='other systems do not limit what a process holds')
def test_700x512x512_voxels_and_14_classes_are_predicted_within_4_gb(tmp_path):
    limit = 4 * 10**9
    command = [sys.executable, str(Path(__file__).with_name('predict_large_volume.py')), str(tmp_path)]
    done = subprocess.run(
        [*command, '700', '512', '512', str(limit)],
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    planned, peak = map(int, done.stdout.split()[-2:])
    assert peak <= planned <= limit
