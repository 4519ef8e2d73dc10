"""The register of codes that this program reports. The codes of rules stand in their YAML.

The first digit is the stage: 1 syntax, 2 names and types, 3 capabilities, 4 controls, 5 host state, 6 guest state,
7 back ends, 8 machine, 9 specs. What each of them means at length is in `specs/codes.yaml`, for `vmcsc explain`.
"""

from __future__ import annotations

from vmcsc.diagnostic import Code, Severity

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

# 1: syntax
UNREADABLE = Code("VMX1001", "unreadable", _ERROR)
UNEXPECTED = Code("VMX1002", "unexpected-text", _ERROR)
INCOMPLETE = Code("VMX1003", "incomplete-statement", _ERROR)
UNKNOWN_STATEMENT = Code("VMX1004", "unknown-statement", _ERROR)
UNTERMINATED_STRING = Code("VMX1005", "unterminated-string", _ERROR)
UNCLOSED_BLOCK = Code("VMX1006", "unclosed-block", _ERROR)
UNEXPECTED_BRACE = Code("VMX1007", "unexpected-brace", _ERROR)
BAD_NUMBER = Code("VMX1008", "bad-number", _ERROR)
TOO_DEEP = Code("VMX1009", "nested-too-deep", _ERROR)
MISPLACED = Code("VMX1010", "misplaced-statement", _ERROR)
NO_POLICY = Code("VMX1011", "no-policy", _ERROR)
SECOND_POLICY = Code("VMX1012", "second-policy", _ERROR)
MISSING_BLOCK = Code("VMX1013", "missing-block", _ERROR)
TOO_LONG = Code("VMX1014", "too-long", _ERROR)
UNUSED_IGNORE = Code("VMX1020", "unused-ignore", _WARNING)
BAD_IGNORE = Code("VMX1021", "bad-ignore", _WARNING)
CONFIG_UNREADABLE = Code("VMX1030", "configuration-unreadable", _ERROR)
CONFIG_KEY = Code("VMX1031", "unknown-configuration-key", _ERROR)
CONFIG_VALUE = Code("VMX1032", "bad-configuration-value", _ERROR)

# 2: names and types
UNKNOWN_NAME = Code("VMX2001", "unknown-name", _ERROR)
UNKNOWN_CONTROL = Code("VMX2002", "unknown-control", _ERROR)
UNKNOWN_BLOCK = Code("VMX2003", "unknown-block", _ERROR)
UNKNOWN_FIELD = Code("VMX2004", "unknown-field", _ERROR)
UNKNOWN_FUNCTION = Code("VMX2005", "unknown-function", _ERROR)
UNKNOWN_TYPE = Code("VMX2006", "unknown-type", _ERROR)
UNKNOWN_CPU = Code("VMX2007", "unknown-cpu", _ERROR)
UNKNOWN_TARGET = Code("VMX2008", "unknown-target", _ERROR)
AMBIGUOUS_NAME = Code("VMX2009", "ambiguous-name", _ERROR)
OUT_OF_SCOPE = Code("VMX2010", "out-of-scope", _ERROR)
WIDTH_MISMATCH = Code("VMX2011", "width-mismatch", _ERROR)
VALUE_TOO_WIDE = Code("VMX2012", "value-too-wide", _ERROR)
NOT_A_CONDITION = Code("VMX2013", "not-a-condition", _ERROR)
WRONG_ARGUMENTS = Code("VMX2014", "wrong-arguments", _ERROR)
READ_ONLY_FIELD = Code("VMX2015", "read-only-field", _ERROR)
NOT_ASSIGNABLE = Code("VMX2016", "not-assignable", _ERROR)
CONFLICTING_STANCES = Code("VMX2017", "conflicting-stances", _ERROR)
NEEDS_OVERRIDE = Code("VMX2018", "needs-override", _ERROR)
ASSIGNED_TWICE = Code("VMX2019", "assigned-twice", _ERROR)
DUPLICATE_NAME = Code("VMX2020", "duplicate-name", _ERROR)
POLICY_NOT_FOUND = Code("VMX2021", "policy-not-found", _ERROR)
CYCLE = Code("VMX2022", "cycle", _ERROR)
BAD_INCLUDE = Code("VMX2023", "bad-include", _ERROR)
OUT_OF_RANGE = Code("VMX2024", "out-of-range", _ERROR)
BAD_CONDITION = Code("VMX2025", "inexpressible-condition", _ERROR)
NOTHING_TO_OVERRIDE = Code("VMX2026", "nothing-to-override", _WARNING)
REPEATED = Code("VMX2027", "repeated", _WARNING)
WEAKER = Code("VMX2028", "weaker-than-inherited", _WARNING)
UNKNOWN_STATE = Code("VMX2029", "unknown-state", _ERROR)
BAD_VALUE = Code("VMX2030", "bad-value", _ERROR)

# 3: capabilities
REQUIRED_NOT_GRANTED = Code("VMX3001", "required-not-granted", _ERROR)
FORBIDDEN_NOT_GRANTED = Code("VMX3002", "forbidden-not-granted", _ERROR)
PREFERRED_NOT_GRANTED = Code("VMX3003", "preferred-not-granted", _NOTE)
AVOIDED_NOT_GRANTED = Code("VMX3004", "avoided-not-granted", _NOTE)
ALLOWED_NOT_GRANTED = Code("VMX3005", "allowed-not-granted", _NOTE)
GRANT_UNKNOWN = Code("VMX3006", "grant-unknown", _NOTE)
INACTIVE = Code("VMX3007", "inactive-control", _WARNING)
REQUIRED_INACTIVE = Code("VMX3008", "required-inactive", _ERROR)
FIELD_ABSENT = Code("VMX3009", "field-absent", _NOTE)
CONDITIONS_DISAGREE = Code("VMX3010", "conditions-disagree", _ERROR)
NO_EFFECT = Code("VMX3011", "no-effect", _WARNING)
CPU_UNREADABLE = Code("VMX3012", "cpu-unreadable", _ERROR)
CPU_INCONSISTENT = Code("VMX3013", "cpu-inconsistent", _ERROR)
CPU_WITHOUT_VMX = Code("VMX3014", "cpu-without-vmx", _ERROR)
MSR_IGNORED = Code("VMX3015", "msr-ignored", _NOTE)
TEXT_IGNORED = Code("VMX3016", "text-ignored", _NOTE)
SOURCE_UNAVAILABLE = Code("VMX3017", "source-unavailable", _ERROR)
PROCESSORS_DIFFER = Code("VMX3018", "processors-differ", _ERROR)
UNKNOWN_FEATURE = Code("VMX3019", "unknown-feature", _WARNING)
NOT_READ = Code("VMX3020", "not-read", _NOTE)
STATE_NOT_GRANTED = Code("VMX3021", "state-not-granted", _ERROR)
STATE_CONTROL = Code("VMX3022", "state-against-control", _ERROR)
RULES_UNDETERMINED = Code("VMX3023", "rules-undetermined", _NOTE)

# 4: controls (rules have the codes of their YAML, from VMX4001)
PREFERRED_DROPPED = Code("VMX4901", "preferred-dropped", _NOTE)
PREFERRED_EXCLUSIVE = Code("VMX4902", "preferred-exclusive", _ERROR)
AVOIDED_RAISED = Code("VMX4903", "avoided-raised", _NOTE)

# 7: back ends
CANNOT_WRITE = Code("VMX7003", "cannot-write", _ERROR)
KERNEL_TREE = Code("VMX7010", "kernel-tree", _ERROR)
NOT_BROUGHT_ABOUT = Code("VMX7011", "not-brought-about", _ERROR)
WOULD_NOT_LOAD = Code("VMX7012", "module-would-not-load", _ERROR)
NO_EXIT_HANDLER = Code("VMX7013", "no-exit-handler", _WARNING)
KVM_NEEDS_IT = Code("VMX7014", "kvm-needs-it", _WARNING)
CHANGED_FOR_VCPU = Code("VMX7015", "changed-for-a-vcpu", _NOTE)
NOTHING_TO_PATCH = Code("VMX7016", "nothing-to-patch", _NOTE)
UNNAMED_BIT = Code("VMX7017", "unnamed-bit", _WARNING)

# 8: the machine and scenarios
SCENARIO_FAILED = Code("VMX8001", "scenario-failed", _ERROR)
UNKNOWN_INSTRUCTION = Code("VMX8002", "unknown-instruction", _ERROR)
WRONG_OPERANDS = Code("VMX8003", "wrong-operands", _ERROR)
SCENARIO_STATEMENT = Code("VMX8004", "scenario-statement", _ERROR)
SCENARIO_NOT_RUN = Code("VMX8005", "scenario-not-run", _ERROR)
BYTECODE = Code("VMX8006", "bytecode", _ERROR)
BYTECODE_LISTING = Code("VMX8007", "bytecode-listing", _ERROR)
SCENARIO_DIFFERS = Code("VMX8008", "scenario-differs", _WARNING)

# 9: specs
SPEC_SYNTAX = Code("VMX9001", "spec-syntax", _ERROR)
SPEC_SCHEMA = Code("VMX9002", "spec-schema", _ERROR)
SPEC_REFERENCE = Code("VMX9003", "spec-reference", _ERROR)
SPEC_DUPLICATE = Code("VMX9004", "spec-duplicate", _ERROR)
SPEC_BITS = Code("VMX9005", "spec-bits", _ERROR)
SPEC_EXPRESSION = Code("VMX9006", "spec-expression", _ERROR)
SPEC_LEDGER = Code("VMX9007", "spec-ledger", _ERROR)

UNDETERMINED = frozenset({GRANT_UNKNOWN.id, RULES_UNDETERMINED.id})
"""Notes which say that something could not be decided; `--strict` counts them as failures."""

ALL: tuple[Code, ...] = tuple(value for value in globals().values() if isinstance(value, Code))
