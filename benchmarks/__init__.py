"""What the numbers in README and docs come from: each script prints them."""
