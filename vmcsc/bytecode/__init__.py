"""Programs for the bundled machine as files: capabilities, memory, hypervisor, guest, scenarios (docs/bytecode.md)."""
