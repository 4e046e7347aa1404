"""One page about a run: how it trained, what it was tested on, where it is right and where it is wrong."""

from medctx3d.reporting.report import write_report

__all__ = ['write_report']
