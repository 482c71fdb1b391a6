"""What the two estimators share: parameters, fits, predictions and how far to trust them."""
