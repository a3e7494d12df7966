"""What people look at: the training report, the analysis page, the model card and plots."""
