"""The policy language as text: shape, grammar, tree. Knows no VMX at all."""
