"""What a fitted decoder knows: sessions and behaviours with their rows and columns, and its own errors."""
