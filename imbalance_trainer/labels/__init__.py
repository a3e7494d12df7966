"""What the labels are: names and rules, where a dataset has them, counts and class weights."""
