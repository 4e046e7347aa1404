"""Helpers below every other package: environment, config checks, geometry."""
