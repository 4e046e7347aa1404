"""Blocks that backbones and decode heads share."""
