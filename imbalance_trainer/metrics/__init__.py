"""Metrics of imbalanced classification, counted while batches stream by."""
