"""What is fitted on held-out scores: thresholds."""
