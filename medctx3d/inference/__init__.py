"""Prediction of whole volumes in bounded memory."""

from medctx3d.inference.options import PredictionOptions

__all__ = ['PredictionOptions']
