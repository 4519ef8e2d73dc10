"""Typed expressions over capabilities, controls and parameters, and what is made of them: values, C."""
