/* --- Settling the control words: value = (wanted | must be 1) & may be 1, then the rules between controls --- */

/* What a policy wants of each control word, as masks. */
struct vmcsc_wishes {
    uint64_t required[VMCSC_WORDS];
    uint64_t preferred[VMCSC_WORDS];
    uint64_t forbidden[VMCSC_WORDS];
    uint64_t avoided[VMCSC_WORDS];
    uint64_t allowed[VMCSC_WORDS];
};

/*
 * What became of it. `value` is what to write. A control in `refused` is required and not available (or its word is
 * not in force), or forbidden and cannot be 0. `given_up` were preferred and are 0; `raised` were avoided and are 1;
 * `runtime` may be set later. `conflicting` are controls about which statements disagree on this processor.
 */
struct vmcsc_result {
    uint64_t must_be_1[VMCSC_WORDS];
    uint64_t may_be_1[VMCSC_WORDS];
    uint64_t value[VMCSC_WORDS];
    uint64_t refused[VMCSC_WORDS];
    uint64_t given_up[VMCSC_WORDS];
    uint64_t raised[VMCSC_WORDS];
    uint64_t runtime[VMCSC_WORDS];
    uint64_t conflicting[VMCSC_WORDS];
    uint64_t violated[VMCSC_RULE_WORDS]; /* bit n: rule n of vmcsc_rule_name() */
    uint32_t conflicting_field;          /* encoding of a field that would get two values, or 0 */
    uint32_t failed_field;               /* encoding of the field of which VMWRITE failed, or 0 */
    uint8_t failed;                      /* VMWRITE failed */
};

#define VMCSC_OK           0 /* everything required is granted */
#define VMCSC_REFUSED      1 /* see refused */
#define VMCSC_CONFLICT     2 /* see conflicting, conflicting_field */
#define VMCSC_VIOLATED     3 /* see violated */
#define VMCSC_WRITE_FAILED 4 /* see failed_field */

static inline uint64_t vmcsc_shift_left(uint64_t value, uint64_t count)
{
    return count < 64u ? value << count : 0u;
}

static inline uint64_t vmcsc_shift_right(uint64_t value, uint64_t count)
{
    return count < 64u ? value >> count : 0u;
}

/* Whether a control word is in force: every control that activates it is 1. */
static inline unsigned vmcsc_in_force(const uint64_t *value, unsigned word)
{
    while (vmcsc_activators[word].word != VMCSC_WORDS) {
        unsigned by = vmcsc_activators[word].word;
        if (((value[by] >> vmcsc_activators[word].bit) & 1u) == 0u)
            return 0u;
        word = by;
    }
    return 1u;
}

/* The settings that a rule sees; the control (flip_word, flip_bit) counts as its opposite. */
struct vmcsc_settings {
    const uint64_t *value;
    unsigned flip_word;
    unsigned flip_bit;
};

static inline uint64_t vmcsc_setting(const struct vmcsc_settings *settings, unsigned word, unsigned bit)
{
    uint64_t now = vmcsc_in_force(settings->value, word) ? (settings->value[word] >> bit) & 1u : 0u;
    return word == settings->flip_word && bit == settings->flip_bit ? now ^ 1u : now;
}

static inline uint64_t vmcsc_rule_violated(unsigned rule, const struct vmcsc_settings *settings);

/* Whether the rule is violated, and would not be if the control had the opposite setting. */
static inline unsigned vmcsc_mends(unsigned rule, const uint64_t *value, unsigned word, unsigned bit)
{
    struct vmcsc_settings settings;
    settings.value = value;
    settings.flip_word = word;
    settings.flip_bit = bit;
    return vmcsc_rule_violated(rule, &settings) == 0u;
}

static inline unsigned vmcsc_is_violated(unsigned rule, const uint64_t *value)
{
    struct vmcsc_settings settings;
    settings.value = value;
    settings.flip_word = VMCSC_WORDS;
    settings.flip_bit = 0u;
    return vmcsc_rule_violated(rule, &settings) != 0u;
}

/* The controls of a rule that could give way: those that are dropped, or, with `raise`, those that are raised. */
static inline unsigned vmcsc_candidates(unsigned rule, unsigned raise, const struct vmcsc_wishes *wishes,
                                        const struct vmcsc_result *r, const uint64_t *dropped,
                                        struct vmcsc_control *found)
{
    unsigned count = 0u;
    unsigned i;
    for (i = 0u; i < vmcsc_rules[rule].count; i++) {
        unsigned word = vmcsc_rules[rule].controls[i].word;
        unsigned bit = vmcsc_rules[rule].controls[i].bit;
        unsigned in_force = vmcsc_in_force(r->value, word);
        uint64_t set = (r->value[word] >> bit) & 1u;
        uint64_t soft;
        if (raise)
            soft = wishes->avoided[word] & ~wishes->forbidden[word] & r->may_be_1[word] & ~dropped[word];
        else
            soft = wishes->preferred[word] & ~wishes->required[word] & ~r->must_be_1[word] & ~r->raised[word];
        if (((soft >> bit) & 1u) == 0u || !in_force || set == raise || !vmcsc_mends(rule, r->value, word, bit))
            continue;
        *found = vmcsc_rules[rule].controls[i];
        count++;
    }
    return count;
}

/* Let one control give way to a violated rule, if there is just one that could. */
static inline unsigned vmcsc_mend(unsigned rule, const struct vmcsc_wishes *wishes, struct vmcsc_result *r,
                                  uint64_t *dropped)
{
    struct vmcsc_control control;
    unsigned count;
    control.word = 0u;
    control.bit = 0u;
    if (!vmcsc_is_violated(rule, r->value))
        return 0u;
    count = vmcsc_candidates(rule, 0u, wishes, r, dropped, &control);
    if (count == 1u) {
        dropped[control.word] |= (uint64_t)1u << control.bit;
        r->value[control.word] &= ~((uint64_t)1u << control.bit);
        return 1u;
    }
    if (count != 0u || vmcsc_candidates(rule, 1u, wishes, r, dropped, &control) != 1u)
        return 0u;
    r->raised[control.word] |= (uint64_t)1u << control.bit;
    r->value[control.word] |= (uint64_t)1u << control.bit;
    return 1u;
}

static inline void vmcsc_judge(unsigned word, const struct vmcsc_wishes *wishes, struct vmcsc_result *r)
{
    uint64_t required = wishes->required[word];
    uint64_t preferred = wishes->preferred[word];
    uint64_t positive = required | preferred;
    uint64_t negative = wishes->forbidden[word] | wishes->avoided[word];
    r->refused[word] = (required & ~r->may_be_1[word]) | (wishes->forbidden[word] & r->must_be_1[word]);
    if (!vmcsc_in_force(r->value, word)) {
        r->value[word] = r->must_be_1[word] & r->may_be_1[word];
        r->refused[word] |= required;
    }
    r->given_up[word] = preferred & ~required & ~r->value[word];
    r->runtime[word] = wishes->allowed[word] & r->may_be_1[word];
    r->conflicting[word] = (positive & negative) | (wishes->allowed[word] & wishes->forbidden[word]);
}

/* Fill in `r` from `wishes` and the allowed settings already in it. Returns VMCSC_OK or what is wrong. */
static inline int vmcsc_settle(const struct vmcsc_wishes *wishes, struct vmcsc_result *r)
{
    uint64_t dropped[VMCSC_WORDS];
    uint64_t refused = 0u, conflicting = 0u, violated = 0u;
    unsigned word, rule;
    for (word = 0u; word < VMCSC_WORDS; word++) {
        uint64_t wanted = wishes->required[word] | wishes->preferred[word] | vmcsc_reserved_default1[word];
        r->value[word] = (wanted | r->must_be_1[word]) & r->may_be_1[word];
        r->raised[word] = 0u;
        dropped[word] = 0u;
    }
    for (rule = 0u; rule < VMCSC_RULES;) /* each control gives way at most once, so this ends */
        rule = vmcsc_mend(rule, wishes, r, dropped) ? 0u : rule + 1u;
    for (rule = 0u; rule < VMCSC_RULE_WORDS; rule++)
        r->violated[rule] = 0u;
    for (rule = 0u; rule < VMCSC_RULES; rule++)
        if (vmcsc_is_violated(rule, r->value))
            r->violated[rule / 64u] |= (uint64_t)1u << (rule % 64u);
    for (word = 0u; word < VMCSC_WORDS; word++) {
        vmcsc_judge(word, wishes, r);
        refused |= r->refused[word];
        conflicting |= r->conflicting[word];
    }
    for (rule = 0u; rule < VMCSC_RULE_WORDS; rule++)
        violated |= r->violated[rule];
    r->conflicting_field = 0u;
    r->failed_field = 0u;
    r->failed = 0u;
    if (refused != 0u)
        return VMCSC_REFUSED;
    if (conflicting != 0u)
        return VMCSC_CONFLICT;
    return violated != 0u ? VMCSC_VIOLATED : VMCSC_OK;
}

/* The first control that is refused: its word and bit. Returns 0 where there is none. */
static inline int vmcsc_first_refused(const struct vmcsc_result *r, struct vmcsc_control *control)
{
    unsigned word, bit;
    for (word = 0u; word < VMCSC_WORDS; word++) {
        for (bit = 0u; bit < 64u; bit++) {
            if ((r->refused[word] >> bit) & 1u) {
                control->word = (uint8_t)word;
                control->bit = (uint8_t)bit;
                return 1;
            }
        }
    }
    return 0;
}

/* VMWRITE `value` to the field `encoding`; 0 where it succeeded. */
typedef int (*vmcsc_vmwrite_function)(void *context, uint32_t encoding, uint64_t value);

/* VMWRITE every control word that the processor has. */
static inline int vmcsc_write_words(const struct vmcsc_capabilities *c, struct vmcsc_result *r,
                                    vmcsc_vmwrite_function vmwrite, void *context)
{
    unsigned word;
    for (word = 0u; word < VMCSC_WORDS; word++) {
        if (!vmcsc_has_word(c, word))
            continue;
        if (vmwrite(context, vmcsc_word_fields[word], r->value[word]) != 0) {
            r->failed_field = vmcsc_word_fields[word];
            r->failed = 1u;
            return VMCSC_WRITE_FAILED;
        }
    }
    return VMCSC_OK;
}
