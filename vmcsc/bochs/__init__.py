"""Bochs as a second implementation of VMX: the same entries and scenarios there, under its own capabilities."""
