"""Instructions of programs: forms chosen, operands read, and their x86 encoding."""
