"""Analysis of a data set before training: label counts, class weights and recommended settings."""
