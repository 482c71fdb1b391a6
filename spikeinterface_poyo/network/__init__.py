"""The network: windows of spikes become tokens, tokens become answers; nothing here knows of fits."""
