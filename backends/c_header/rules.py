"""The rules between controls as C, and the names of controls and rules for messages."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Control
from vmcsc.expression import nodes
from vmcsc.resolve.rules import ControlRule, control_rules

from .expressions import grouped, place
from .text import WIDTH, comment_text, listed, wrapped


def rule_table(database: Database) -> str:
    """Which controls each rule speaks of."""
    rules = control_rules(database)
    most = max((len(rule.controls) for rule in rules), default=1) or 1
    rows = [_row(rule) for rule in rules] or ["{0u, {{0u, 0u}}}"]
    return (
        f"#define VMCSC_RULES      {len(rules)}u\n"
        f"#define VMCSC_RULE_WORDS {max(1, (len(rules) + 63) // 64)}u\n\n"
        f"struct vmcsc_rule {{\n    unsigned count;\n    struct vmcsc_control controls[{most}];\n}};\n\n"
        "/* The controls that each rule between controls speaks of. */\n"
        f"static const struct vmcsc_rule vmcsc_rules[{len(rows)}] = {listed(rows)};\n"
    )


def _row(rule: ControlRule) -> str:
    places = ["{" + place(control) + "}" for control in rule.controls] or ["{0u, 0u}"]
    in_a_line = ", ".join(places)
    together = in_a_line if len(in_a_line) < WIDTH - len("    {2u, {}},") else ",\n          ".join(places)
    return f"{{{len(rule.controls)}u, {{{together}}}}}"


def rule_function(database: Database) -> str:
    """What each rule demands, over the settings in force."""

    def leaf(node: nodes.Leaf) -> str:
        assert isinstance(node, nodes.ControlBit)
        return f"vmcsc_setting(settings, {place(node.control)})"

    cases = []
    for number, rule in enumerate(control_rules(database)):
        violated = wrapped(f"return {grouped(rule.violation, leaf)} ? 1u : 0u;", "        ", "            ")
        cases.append(f"    case {number}u: /* {rule.rule.code} {comment_text(rule.rule.id)} */\n{violated}\n")
    return (
        "/* Whether rule `rule` is violated under `settings`: 1 or 0. */\n"
        "static inline uint64_t vmcsc_rule_violated(unsigned rule, const struct vmcsc_settings *settings)\n"
        "{\n    (void)settings;\n    switch (rule) {\n"
        + "".join(cases)
        + "    default:\n        return 0u;\n    }\n}\n"
    )


def name_functions(database: Database) -> str:
    """Names for messages."""
    controls = [_named(control) for control in database.controls.values()]
    rules = [f'"{rule.rule.code} {rule.rule.id}"' for rule in control_rules(database)] or ['""']
    reasons = [
        f'    case {reason.number}u:\n        return "{reason.name}";\n' for reason in database.exit_reasons.values()
    ]
    return f"""/* Names for messages; define VMCSC_NO_NAMES to leave them out. */
#ifndef VMCSC_NO_NAMES
/* The name of one control, as policies write it. */
static inline const char *vmcsc_control_name(unsigned word, uint64_t mask)
{{
    static const struct {{
        struct vmcsc_control control;
        const char *name;
    }} known[] = {_deeper(listed(controls))};
    unsigned i;
    for (i = 0u; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].control.word == word && known[i].control.mask == mask)
            return known[i].name;
    return "reserved";
}}

/* The code of a rule between controls, which `vmcsc explain` explains, and its name. */
static inline const char *vmcsc_rule_name(unsigned rule)
{{
    static const char *const names[] = {_deeper(listed(rules))};
    return rule < sizeof(names) / sizeof(names[0]) ? names[rule] : "none";
}}

/* The name of a basic exit reason, as policies write it. */
static inline const char *vmcsc_exit_reason_name(uint32_t reason)
{{
    switch (reason) {{
{"".join(reasons)}    default:
        return "unknown";
    }}
}}
#endif
"""


def _named(control: Control) -> str:
    where, name = f"{{{place(control)}}},", f'"{control.path}"}}'
    together = len(where) + len(name) < WIDTH - len("        { ,")
    return f"{{{where} {name}" if together else f"{{{where}\n     {name}"


def _deeper(text: str) -> str:
    return text.replace("\n", "\n    ")
