"""What KVM asks of the processor, read from the sources of a Linux tree that the user points at."""
