"""The specs as a typed, immutable model, and its loader."""
