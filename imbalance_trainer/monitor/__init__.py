"""From the history of a run to findings, and to words."""
