"""The rules of VM entry run over a VMCS: what passes, what is violated, what cannot be decided, and what follows."""
