"""Before training: what is rare, what it will weigh and what to set."""
