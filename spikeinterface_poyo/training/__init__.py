"""Training: batches, optimiser, checkpoints, and the kinds of fit that are made of them."""
