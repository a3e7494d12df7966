"""Methods compared on the user's own data: the same splits, steps and seeds for all."""
