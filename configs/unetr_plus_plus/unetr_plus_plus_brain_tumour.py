"""UNETR++ on the brain tumours, supervised only: the baseline of ../medcontext/unetr_plus_plus_brain_tumour.py"""

_base_ = [
    '../_base_/models/unetr_plus_plus.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(
        backbone=dict(token_patch=(4, 4, 4), projection='matrix', fusion='sum', attention_dropout=0.1),
        decode_head=dict(projection='matrix', fusion='sum', attention_dropout=0.1),
    ),
    criterion=dict(loss_dice_ce=dict(batch=False)),
)
