from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from medctx3d.inference import CaseSize, MemoryLimitError, StreamedWindowInferer, plan_memory
from medctx3d.inference.memory_plan import Footprint

GB = 10**9
CASE = CaseSize(stored=367 * 10**6, source=700 * 512 * 512, working=(700, 512, 512), channels=1, classes=14)
CPU = Footprint(host=5 * 10**8, device=0, window=10**8, accelerator=False)
GPU = Footprint(host=2 * GB, device=3 * 10**8, window=10**9, accelerator=True)


def inferer(**arguments):
    return StreamedWindowInferer((96, 96, 96), 4, 0.5, **arguments)


def test_without_a_bound_the_config_decides():
    plan = plan_memory(CASE, inferer(), CPU, None, 'a.nii')
    assert (plan.sw_batch_size, plan.device, plan.dtype) == (4, None, torch.float32)
    assert plan.host['sums of scores'] > 15 * 96 * 512 * 512 * 4


def test_the_published_size_fits_into_four_gigabytes_on_a_cpu():
    plan = plan_memory(CASE, inferer(), CPU, 4 * GB, 'a.nii')
    assert plan.dtype == torch.float32
    assert plan.host_bytes <= 4 * GB


def test_windows_become_fewer_before_sums_lose_precision():
    free = plan_memory(CASE, inferer(), CPU, None, 'a.nii').host_bytes
    plan = plan_memory(CASE, inferer(), CPU, free - 1, 'a.nii')
    assert (plan.sw_batch_size, plan.dtype) == (2, torch.float32)
    least = plan_memory(CASE, inferer(), CPU, free - 4 * 10**8, 'a.nii')
    assert (least.sw_batch_size, least.dtype) == (4, torch.float16)


def test_sums_move_to_the_host_when_the_accelerator_is_too_small():
    plan = plan_memory(CASE, inferer(), GPU, 5 * GB, 'a.nii')
    assert plan.device is None
    tight = plan_memory(CASE, inferer(), GPU._replace(host=10**9, window=2 * GB), 4 * GB, 'a.nii')
    assert (tight.device, tight.sw_batch_size) == ('cpu', 1)
    assert 'sums of scores' in tight.host
    assert 'sums of scores' not in tight.accelerator


def test_what_cannot_be_held_is_refused_with_the_figures():
    with pytest.raises(MemoryLimitError, match=r'big\.nii: 700 x 512 x 512 .* 14 classes .*the program 500 MB.* 1 GB'):
        plan_memory(CASE, inferer(), CPU, 10**9, 'big.nii')


def test_a_plan_makes_an_inferer_work_so():
    made = inferer()
    plan_memory(CASE, made, GPU._replace(host=10**9, window=2 * GB), 4 * GB, 'a.nii').apply(made)
    assert (made.device, made.sw_batch_size, made.dtype) == ('cpu', 1, torch.float32)


def test_a_window_tells_classes_and_memory():
    """In a process of its own: one that has given memory back holds it still, and takes none anew."""
    code = """
import torch
from medctx3d.inference.footprint import measure_network
found = measure_network(torch.nn.Conv3d(2, 8, 3, padding=1), (2, 64, 64, 64), torch.device('cpu'))
print(found.classes, int(found.footprint.accelerator), found.footprint.host, found.footprint.window)
"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    classes, accelerator, host, window = map(int, run.stdout.split())
    assert (classes, accelerator) == (8, 0)
    assert host > 10**7
    assert window >= 7 * 64**3 * 4  # about what it answers with
