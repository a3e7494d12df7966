"""WeightedFocalTrainer, its arguments and the objects that it has."""
