"""Weights in and out: files of ours and of torch_brain, downloads, model hubs."""
