"""Forms of compressed weights: NumPy arrays to bytes and back."""
