"""Kernels that give the same bits twice."""

from __future__ import annotations

import os

import torch


def ask_for_deterministic_kernels() -> str:
    """Use deterministic kernels where torch has them; a warning names each operation that has none.

    To be called before CUDA starts, and again after whoever else sets the same switches, such as mmengine's Runner,
    which asks for errors instead of warnings: cross-entropy on a GPU has no deterministic kernel.

    Returns:
        What is set, and how to see what it costs, for the user.
    """
    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # read when cuBLAS starts
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return (
        'deterministic kernels: torch.use_deterministic_algorithms(warn_only=True), cuDNN without benchmarking, '
        f'CUBLAS_WORKSPACE_CONFIG={os.environ["CUBLAS_WORKSPACE_CONFIG"]}; what a step then costs on this machine: '
        'python tools/benchmark/step.py CONFIG --deterministic'
    )
