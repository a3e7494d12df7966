"""From scores to decisions: thresholds and the hierarchy of the labels."""
