"""More and cleaner positives: texts that may have a rare label, and labels that may be wrong."""
