"""Files and datasets to text and labels."""
