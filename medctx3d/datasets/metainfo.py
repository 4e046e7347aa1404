"""Classes, channels and sided pairs of the public data sets that medctx3d has configs for.

``classes`` are in the order of their label ids. ``mirror_pairs`` names classes that change places under a left-right
flip; a data set whose class names carry a side but which has no pairs is never flipped left-right. That is meant for
ACDC: the two ventricles are no mirror images of each other, so neither flipping as it is nor swapping their labels
gives a heart that a scanner would see. ``regions`` names classes that are scored together.
"""

from __future__ import annotations

from typing import Any

METAINFO: dict[str, dict[str, Any]] = {
    'btcv': dict(
        classes=(
            'background',
            'spleen',
            'right_kidney',
            'left_kidney',
            'gallbladder',
            'esophagus',
            'liver',
            'stomach',
            'aorta',
            'inferior_vena_cava',
            'portal_and_splenic_vein',
            'pancreas',
            'right_adrenal_gland',
            'left_adrenal_gland',
        ),
        channels=('CT',),
        mirror_pairs=(('right_kidney', 'left_kidney'), ('right_adrenal_gland', 'left_adrenal_gland')),
        reported=(
            'spleen',
            'right_kidney',
            'left_kidney',
            'gallbladder',
            'liver',
            'stomach',
            'aorta',
            'pancreas',
        ),
    ),
    'acdc': dict(classes=('background', 'right_ventricle', 'myocardium', 'left_ventricle'), channels=('cine_MR',)),
    'brain_tumour': dict(
        classes=('background', 'edema', 'non_enhancing_tumour', 'enhancing_tumour'),
        channels=('FLAIR', 'T1w', 'T1gd', 'T2w'),
        regions=dict(  # the whole tumour, its core, and what enhances: how BraTS reports
            WT=('edema', 'non_enhancing_tumour', 'enhancing_tumour'),
            TC=('non_enhancing_tumour', 'enhancing_tumour'),
            ET=('enhancing_tumour',),
        ),
    ),
    'hippocampus': dict(classes=('background', 'anterior', 'posterior'), channels=('MR',)),
    'head_neck': dict(
        classes=('background', 'brainstem', 'spinal_cord', 'right_parotid', 'left_parotid', 'mandible'),
        channels=('CT',),
        mirror_pairs=(('right_parotid', 'left_parotid'),),
    ),
}
