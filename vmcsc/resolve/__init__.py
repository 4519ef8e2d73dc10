"""Policy x capabilities -> the value of every field, with the provenance of every bit."""

from vmcsc.resolve.resolve import resolve

__all__ = ["resolve"]
