"""What one processor allows: its capability MSRs and facts, and the readers that bring them in."""
