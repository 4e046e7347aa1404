"""Generated anatomy: labelled, CT-like abdominal volumes by seed."""

from .anatomy import Tissue
from .finding import Finding, Summary
from .generate import Phantom, generate_phantom
from .population import check_patients, check_population
from .render import Noise
from .write import write_dataset

__all__ = [
    'Finding',
    'Noise',
    'Phantom',
    'Summary',
    'Tissue',
    'check_patients',
    'check_population',
    'generate_phantom',
    'write_dataset',
]
