"""nnFormer on BTCV with MedContext in its published arithmetic (arXiv 2402.17725).

The consistency term is divided by the norm of all the teacher's logits, which leaves it near 1e-4: see
docs/explanation/medcontext.md. Baseline: ../nnformer/nnformer_btcv.py
"""

_base_ = [
    '../_base_/models/nnformer.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (128, 128, 64)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
train_dataloader = dict(batch_size=2)
model = dict(
    teacher=dict(type='EMATeacher'),
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.4, axis=2),  # the same cells hidden in every axial slice
            patch_size=(16, 16, 16),
            consistency=dict(type='ConsistencyLoss', normalize='frobenius'),
            weight=0.5,
        )
    ),
)
custom_hooks = [dict(type='EMATeacherHook', decay=0.996, end_decay=1.0)]
