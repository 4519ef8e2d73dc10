"""What a value, or the dump of a VMCS, means and what is wrong with it."""
