"""The VMX machine: logical processors, memory, VMCS regions, the VMX instructions, VM entries and VM exits."""
