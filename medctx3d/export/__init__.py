"""Trained networks for use outside of training: exported graphs, published weights, MONAI bundles."""

from medctx3d.export.deployed_network import DeployedNetwork
from medctx3d.export.description import describe
from medctx3d.export.graph_export import ExportError, Parity, export_graph
from medctx3d.export.monai_bundle import export_bundle
from medctx3d.export.passport import STATED, passport, write_converted
from medctx3d.export.publishing import Published, deployed_config, deployed_weights, publish

__all__ = [
    'STATED',
    'DeployedNetwork',
    'ExportError',
    'Parity',
    'Published',
    'deployed_config',
    'deployed_weights',
    'describe',
    'export_bundle',
    'export_graph',
    'passport',
    'publish',
    'write_converted',
]
