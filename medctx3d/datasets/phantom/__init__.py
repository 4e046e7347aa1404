"""Generated anatomy: labelled, CT-like abdominal volumes by seed."""

from .anatomy import Tissue
from .generate import Phantom, generate_phantom
from .render import Noise
from .write import write_dataset

__all__ = ['Noise', 'Phantom', 'Tissue', 'generate_phantom', 'write_dataset']
