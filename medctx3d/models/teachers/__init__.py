"""Teachers: moving copies of a network, owned by the model that asks them."""

from medctx3d.models.teachers.ema_teacher import EMATeacher

__all__ = ['EMATeacher']
