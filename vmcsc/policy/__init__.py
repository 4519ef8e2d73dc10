"""The policy as meant: names bound, types settled, inheritance composed."""
