"""Write a network as a graph that needs no code of this package, and run such a file."""

from __future__ import annotations

import copy
import importlib
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

INPUT, OUTPUT = 'image', 'logits'
METADATA = 'metadata.json'
OPSET = 17  # the first with layer normalisation as one node
Run = Callable[[Tensor], Tensor]


class GraphFormat(NamedTuple):
    """One format.

    Attributes:
        suffix: Of its files.
        write: Network, example (N, C, X, Y, Z), file, metadata: writes the file; N stays free.
        read: The file as a function from (N, C, X, Y, Z) to logits, on the CPU.
        packages: What must be installed besides the requirements of the package.
    """

    suffix: str
    write: Callable[[nn.Module, Tensor, Path, Mapping[str, Any]], None]
    read: Callable[[Path], Run]
    packages: tuple[str, ...] = ()


def write_onnx(network: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, Any]) -> None:
    """ONNX by way of the tracing exporter, with the metadata as its properties.

    The tracing exporter is the one that torch 2.6 to 2.13 share; the newer one took 7 to 30 times as long on the
    networks here, for the same graph, and needs another package.
    """
    onnx = _package('onnx')
    with _quiet():
        torch.onnx.export(
            _with_written_norms(network),
            (example,),
            str(path),
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: 'batch'}, OUTPUT: {0: 'batch'}},
            opset_version=OPSET,
        )
    model = onnx.load(str(path))
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    onnx.save(model, str(path))


def read_onnx(path: Path) -> Run:
    """An ONNX file in onnxruntime on the CPU."""
    runtime = _package('onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda image: torch.from_numpy(session.run([OUTPUT], {INPUT: image.numpy()})[0])


def write_torch_export(network: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, Any]) -> None:
    """An exported program of torch, with the metadata as an extra file in it."""
    batch = torch.export.Dim('batch')
    with torch.no_grad(), _quiet():
        program = torch.export.export(network, (example,), dynamic_shapes=({0: batch},), strict=False)
    torch.export.save(program, path, extra_files={METADATA: json.dumps(metadata)})


def read_torch_export(path: Path) -> Run:
    """An exported program."""
    return torch.export.load(path).module()


def write_torchscript(network: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, Any]) -> None:
    """TorchScript by tracing, with the metadata as an extra file in it."""
    with torch.no_grad(), _quiet():
        traced = torch.jit.trace(network, example, check_trace=False)
        torch.jit.save(traced, str(path), _extra_files={METADATA: json.dumps(metadata)})


def read_torchscript(path: Path) -> Run:
    """A TorchScript file."""
    with _quiet():
        return torch.jit.load(str(path), map_location='cpu').eval()


FORMATS = {
    'onnx': GraphFormat('.onnx', write_onnx, read_onnx, packages=('onnx', 'onnxruntime')),
    'torch-export': GraphFormat('.pt2', write_torch_export, read_torch_export),
    'torchscript': GraphFormat('.ts', write_torchscript, read_torchscript),
}


def require_packages(name: str) -> None:
    """Raise unless the packages that a format needs are installed.

    Raises:
        ModuleNotFoundError: One is not; the message has the command that installs it.
    """
    for package in FORMATS[name].packages:
        _package(package)


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"--format onnx needs the package {name}: pip install 'medctx3d[optional]', or pip install {name}"
        ) from error


def _with_written_norms(network: nn.Module) -> nn.Module:
    """A copy whose instance normalisations have their factors of 1 and terms of 0 written out.

    The exporter writes them itself where it knows the number of channels, which it loses behind windows that pad the
    grid of tokens, as Swin UNETR's do.
    """
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm3d) and not module.affine:
            module.weight = nn.Parameter(torch.ones(module.num_features), requires_grad=False)
            module.bias = nn.Parameter(torch.zeros(module.num_features), requires_grad=False)
            module.affine = True
    return network


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns of every size that it takes for constant; the parity check on other batches is the judge.

    The exporter to ONNX also prints the whole graph where it fails; its error says enough.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        yield
