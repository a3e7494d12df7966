"""The commands of `imbalance-trainer`, one file each."""
