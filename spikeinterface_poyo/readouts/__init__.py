"""What is decoded: targets as users give them, as the network learns them, and what its columns mean."""
