"""What a prediction holds in memory, measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLASSES = 14


PEAKS = """
import torch
from monai.inferers import SlidingWindowInferer
from medctx3d.inference import StreamedWindowInferer
from medctx3d.utils.process_memory import forget_peak, held_memory, peak_memory

volume, network = torch.randn(1, 1, 480, 72, 72), torch.nn.Conv3d(1, 14, 1)
ways = (
    lambda: StreamedWindowInferer((24, 24, 24)).segment(volume[0], network),
    lambda: SlidingWindowInferer((24, 24, 24), mode='gaussian')(volume, network),
)
for way in ways:
    separate, before = forget_peak(), held_memory()
    with torch.no_grad():
        way()
    print(peak_memory() - before if separate else -1)
"""


def test_scores_of_a_layer_are_held_and_not_those_of_the_volume():
    """In a process of its own: one that has given memory back holds it still, and takes none anew."""
    run = subprocess.run([sys.executable, '-c', PEAKS], cwd=ROOT, capture_output=True, text=True, check=True)
    streamed, plain = map(int, run.stdout.split())
    if plain < 0:
        pytest.skip('the system does not tell a peak of its own for a part of a process')
    scores = CLASSES * 4 * 480 * 72 * 72
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
