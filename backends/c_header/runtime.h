/* --- Settling the control words: (wanted | must be 1) & may be 1, then the rules between controls --- */

/* What a policy wants of each control word, as masks. */
struct vmcsc_wishes {
    uint64_t required[VMCSC_WORDS];
    uint64_t preferred[VMCSC_WORDS];
    uint64_t forbidden[VMCSC_WORDS];
    uint64_t avoided[VMCSC_WORDS];
    uint64_t allowed[VMCSC_WORDS];
};

/* What became of it: for each control word, masks of controls. `value` is what to write. */
struct vmcsc_result {
    uint64_t must_be_1[VMCSC_WORDS];
    uint64_t may_be_1[VMCSC_WORDS];
    uint64_t value[VMCSC_WORDS];
    uint64_t refused[VMCSC_WORDS];       /* required but not available or in force, or forbidden but forced */
    uint64_t given_up[VMCSC_WORDS];      /* preferred, and 0 all the same */
    uint64_t raised[VMCSC_WORDS];        /* avoided, and 1 all the same */
    uint64_t runtime[VMCSC_WORDS];       /* allowed: may be set later */
    uint64_t conflicting[VMCSC_WORDS];   /* statements that hold on this processor disagree about these */
    uint64_t violated[VMCSC_RULE_WORDS]; /* bit n of word n / 64: rule n, see vmcsc_rule_name() */
    uint64_t unmet_needs;                /* needs of the states that the policy takes, see ..._need_name() */
    uint32_t conflicting_field;          /* encoding of a field that would get two values */
    uint32_t failed_field;               /* encoding of the field of which VMWRITE failed */
    uint8_t field_conflicts;             /* conflicting_field tells which */
    uint8_t write_failed;                /* failed_field tells which */
};

#define VMCSC_OK           0 /* everything required is granted */
#define VMCSC_REFUSED      1 /* see refused */
#define VMCSC_CONFLICT     2 /* see conflicting and field_conflicts */
#define VMCSC_VIOLATED     3 /* see violated */
#define VMCSC_WRITE_FAILED 4 /* see failed_field */
#define VMCSC_UNMET        5 /* see unmet_needs */

/* Whether a control word is in force: every control that activates it is 1. */
static inline unsigned vmcsc_in_force(const uint64_t *value, unsigned word)
{
    while (vmcsc_activators[word].mask != 0u) {
        if ((value[vmcsc_activators[word].word] & vmcsc_activators[word].mask) == 0u)
            return 0u;
        word = vmcsc_activators[word].word;
    }
    return 1u;
}

/* The settings that a rule sees; `flipped` counts as its opposite (mask 0: none does). */
struct vmcsc_settings {
    const uint64_t *value;
    struct vmcsc_control flipped;
};

/* A setting in force: 0 where its word is not. */
static inline uint64_t vmcsc_setting(const struct vmcsc_settings *settings, unsigned word, uint64_t mask)
{
    uint64_t now = vmcsc_in_force(settings->value, word) && (settings->value[word] & mask) != 0u ? 1u : 0u;
    return word == settings->flipped.word && mask == settings->flipped.mask ? now ^ 1u : now;
}

static inline uint64_t vmcsc_rule_violated(unsigned rule, const struct vmcsc_settings *settings);

/* Whether the rule is violated, and would be if `flipped` had the opposite setting. */
static inline unsigned vmcsc_violated_with(unsigned rule, const uint64_t *value, struct vmcsc_control flipped)
{
    struct vmcsc_settings settings;
    settings.value = value;
    settings.flipped = flipped;
    return vmcsc_rule_violated(rule, &settings) != 0u;
}

static inline unsigned vmcsc_violated(unsigned rule, const uint64_t *value)
{
    struct vmcsc_control none;
    none.word = VMCSC_WORDS;
    none.mask = 0u;
    return vmcsc_violated_with(rule, value, none);
}

/* How many controls of a rule could give way, and one of them: by being 0, or, with `raise`, 1. */
static inline unsigned vmcsc_candidates(unsigned rule, unsigned raise, const struct vmcsc_wishes *wishes,
                                        const struct vmcsc_result *r, const uint64_t *dropped,
                                        struct vmcsc_control *found)
{
    unsigned count = 0u;
    unsigned i;
    for (i = 0u; i < vmcsc_rules[rule].count; i++) {
        struct vmcsc_control control = vmcsc_rules[rule].controls[i];
        unsigned word = control.word;
        unsigned set = (r->value[word] & control.mask) != 0u;
        uint64_t soft;
        if (raise)
            soft = wishes->avoided[word] & ~wishes->forbidden[word] & r->may_be_1[word] & ~dropped[word];
        else
            soft = wishes->preferred[word] & ~wishes->required[word] & ~r->must_be_1[word] & ~r->raised[word];
        if ((soft & control.mask) == 0u || set == raise || !vmcsc_in_force(r->value, word) ||
            vmcsc_violated_with(rule, r->value, control))
            continue;
        *found = control;
        count++;
    }
    return count;
}

/* Let one control give way to a violated rule, if there is just one that could. */
static inline unsigned vmcsc_mend(unsigned rule, const struct vmcsc_wishes *wishes, struct vmcsc_result *r,
                                  uint64_t *dropped)
{
    struct vmcsc_control control = vmcsc_rules[rule].controls[0];
    unsigned count;
    if (!vmcsc_violated(rule, r->value))
        return 0u;
    count = vmcsc_candidates(rule, 0u, wishes, r, dropped, &control);
    if (count == 1u) {
        dropped[control.word] |= control.mask;
        r->value[control.word] &= ~control.mask;
        return 1u;
    }
    if (count != 0u || vmcsc_candidates(rule, 1u, wishes, r, dropped, &control) != 1u)
        return 0u;
    r->raised[control.word] |= control.mask;
    r->value[control.word] |= control.mask;
    return 1u;
}

static inline void vmcsc_judge(unsigned word, const struct vmcsc_wishes *wishes, struct vmcsc_result *r)
{
    uint64_t required = wishes->required[word];
    uint64_t preferred = wishes->preferred[word];
    uint64_t forbidden = wishes->forbidden[word];
    uint64_t avoided = wishes->avoided[word];
    uint64_t allowed = wishes->allowed[word];
    r->refused[word] = (required & ~r->may_be_1[word]) | (forbidden & r->must_be_1[word]);
    if (!vmcsc_in_force(r->value, word)) {
        r->value[word] = r->must_be_1[word] & r->may_be_1[word];
        r->refused[word] |= required;
    }
    r->given_up[word] = preferred & ~required & ~r->value[word];
    r->raised[word] = avoided & ~forbidden & r->value[word];
    r->runtime[word] = allowed & r->may_be_1[word];
    r->conflicting[word] = ((required | preferred) & (forbidden | avoided)) | (allowed & forbidden);
}

/* Fill in `r` from `wishes` and the allowed settings. Returns VMCSC_OK or what is wrong. */
static inline int vmcsc_settle(const struct vmcsc_capabilities *c, const struct vmcsc_wishes *wishes,
                               struct vmcsc_result *r)
{
    uint64_t dropped[VMCSC_WORDS];
    uint64_t refused = 0u, conflicting = 0u, violated = 0u;
    unsigned word, rule;
    for (word = 0u; word < VMCSC_WORDS; word++) {
        uint64_t wanted = wishes->required[word] | wishes->preferred[word] | vmcsc_reserved_default1[word];
        r->must_be_1[word] = vmcsc_must_be_1(c, word);
        r->may_be_1[word] = vmcsc_may_be_1(c, word);
        r->value[word] = (wanted | r->must_be_1[word]) & r->may_be_1[word];
        r->raised[word] = 0u;
        dropped[word] = 0u;
    }
    for (rule = 0u; rule < VMCSC_RULES;) /* each control gives way at most once, so this ends */
        rule = vmcsc_mend(rule, wishes, r, dropped) ? 0u : rule + 1u;
    for (rule = 0u; rule < VMCSC_RULE_WORDS; rule++)
        r->violated[rule] = 0u;
    for (rule = 0u; rule < VMCSC_RULES; rule++)
        if (vmcsc_violated(rule, r->value))
            r->violated[rule / 64u] |= (uint64_t)1u << (rule % 64u);
    for (word = 0u; word < VMCSC_WORDS; word++) { /* each behind the word that activates it */
        vmcsc_judge(word, wishes, r);
        refused |= r->refused[word];
        conflicting |= r->conflicting[word];
    }
    for (rule = 0u; rule < VMCSC_RULE_WORDS; rule++)
        violated |= r->violated[rule];
    r->unmet_needs = 0u;
    r->conflicting_field = 0u;
    r->failed_field = 0u;
    r->field_conflicts = 0u;
    r->write_failed = 0u;
    if (refused != 0u)
        return VMCSC_REFUSED;
    if (conflicting != 0u)
        return VMCSC_CONFLICT;
    return violated != 0u ? VMCSC_VIOLATED : VMCSC_OK;
}

/* The first control that is refused. Returns 0 where there is none. */
static inline int vmcsc_first_refused(const struct vmcsc_result *r, struct vmcsc_control *control)
{
    unsigned word;
    for (word = 0u; word < VMCSC_WORDS; word++) {
        if (r->refused[word] != 0u) {
            control->word = word;
            control->mask = r->refused[word] & (~r->refused[word] + 1u);
            return 1;
        }
    }
    return 0;
}

/* --- Fields besides the control words, and writing --- */

/* A field of a policy: it is written only where it is present. */
struct vmcsc_field {
    uint32_t encoding;
    uint8_t present;
    uint64_t value;
};

static inline struct vmcsc_field *vmcsc_begin_field(struct vmcsc_field *field, uint32_t encoding,
                                                    uint8_t present)
{
    field->encoding = encoding;
    field->present = present;
    field->value = 0u;
    return field;
}

/* Give the field a value. The first one stays, and another one is a conflict. */
static inline void vmcsc_assign(struct vmcsc_field *field, uint64_t value, struct vmcsc_result *r)
{
    if (field->present && field->value != value) {
        r->conflicting_field = field->encoding;
        r->field_conflicts = 1u;
    }
    if (!field->present)
        field->value = value;
    field->present = 1u;
}

/* VMWRITE `value` to the field `encoding`; 0 where it succeeded. */
typedef int (*vmcsc_vmwrite_function)(void *context, uint32_t encoding, uint64_t value);

/* VMWRITE the control words that exist, then the fields. Returns VMCSC_OK or VMCSC_WRITE_FAILED. */
static inline int vmcsc_write(const struct vmcsc_capabilities *c, struct vmcsc_result *r,
                              const struct vmcsc_field *fields, unsigned count,
                              vmcsc_vmwrite_function vmwrite, void *context)
{
    unsigned i;
    for (i = 0u; i < VMCSC_WORDS; i++) {
        if (vmcsc_has_word(c, i) && vmwrite(context, vmcsc_word_fields[i], r->value[i]) != 0) {
            r->failed_field = vmcsc_word_fields[i];
            r->write_failed = 1u;
            return VMCSC_WRITE_FAILED;
        }
    }
    for (i = 0u; i < count; i++) {
        if (fields[i].present && vmwrite(context, fields[i].encoding, fields[i].value) != 0) {
            r->failed_field = fields[i].encoding;
            r->write_failed = 1u;
            return VMCSC_WRITE_FAILED;
        }
    }
    return VMCSC_OK;
}
