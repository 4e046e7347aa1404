"""Comparisons of configs over many trainings: subsets of the labels by seed, folds, statistics, tables and plots."""
