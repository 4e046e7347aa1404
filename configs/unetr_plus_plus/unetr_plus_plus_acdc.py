"""UNETR++ on ACDC, supervised only: the baseline of ../medcontext/unetr_plus_plus_acdc.py"""

_base_ = [
    '../_base_/models/unetr_plus_plus.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(
        backbone=dict(token_patch=(4, 4, 1), projection='separate', convolutions=2, attention_dropout=0.1),
        decode_head=dict(projection='separate', convolutions=2, attention_dropout=0.1),
    ),
    criterion=dict(loss_dice_ce=dict(batch=False)),
)
