/* --- What a text says, as a state --- */

/* What is known from a text, and where each field stands. */
static struct taken {
    struct vmcsc_state state;
    struct vmcsc_cpu cpu, cpu_known;
    size_t places[FIELDS];
} taken;

/* Values of whole fields and of high halves, before they are put together. */
static struct halves {
    uint64_t value[FIELDS];
    size_t place[FIELDS];
} whole, high;

/* The value of something of that width; 0 where it is unknown or wrong, which was said then. */
static int take_value(const struct piece *value, unsigned width, const char *what, uint64_t *bits)
{
    struct number number;
    char hex[HEX_DIGITS + 2] = "0x";
    if (value->kind == IS_NULL)
        return 0;
    if ((value->kind != IS_INTEGER && value->kind != IS_STRING) || !parse_number(value->from, value->size, &number)) {
        SAY(CODE_BAD_VALUE, value->place, "the value of %s is a number, decimal or with `0x` before it", what);
        return 0;
    }
    if (number.negative && bits_of(&number) != 0u) {
        SAY(CODE_BAD_VALUE, value->place, "the value of %s is negative", what);
        return 0;
    }
    if (bits_of(&number) > width) {
        put_hex(&number, hex + 2);
        SAY(CODE_VALUE_TOO_WIDE, value->place, "%s is %u bits wide; %s does not fit", what, width,
            shown(hex, strlen(hex), SHOWN));
        return 0;
    }
    *bits = low_bits(&number);
    return 1;
}

/* The same, but `true` and `false` are 1 and 0. */
static int take_fact_value(const struct piece *value, unsigned width, const char *what, uint64_t *bits)
{
    if (value->kind != IS_BOOL)
        return take_value(value, width, what, bits);
    *bits = lower(value->from[0]) == 't';
    return 1;
}

static void take_field(const struct entry *entry)
{
    char plain[LONGEST_NAME + 1], what[LONGEST_NAME + 16];
    uint64_t number, bits;
    unsigned index, is_high;
    struct halves *into;
    if (is_numbered(entry->key.from, entry->key.size, &number)) {
        const struct numbered *const meant = find_number(number, field_numbers, COUNT(field_numbers));
        if (meant == NULL) {
            SAY(CODE_UNKNOWN_FIELD, entry->key.place, "no field has the encoding `%s`", shown_key(&entry->key));
            return;
        }
        index = meant->index;
        is_high = meant->high;
    } else {
        const struct named *const meant =
            plain_name(&entry->key, "", plain) ? find_name(plain, field_names, COUNT(field_names)) : NULL;
        if (meant == NULL) {
            SAY(CODE_UNKNOWN_FIELD, entry->key.place, "no field is named `%s`", shown_key(&entry->key));
            return;
        }
        index = meant->index;
        is_high = meant->high;
    }
    sprintf(what, "`%s%s`", fields[index].name, is_high ? "_high" : "");
    into = is_high ? &high : &whole;
    if (!take_value(&entry->value, is_high ? fields[index].width / 2u : fields[index].width, what, &bits))
        return;
    if (into->place[index] != NOWHERE) {
        SAY(CODE_ASSIGNED_TWICE, entry->key.place, "%s has two values", what);
        return;
    }
    into->value[index] = bits;
    into->place[index] = entry->key.place;
}

/* The fields, with what high halves say above what is known of the low ones. */
static void join_halves(void)
{
    uint64_t *const bits = (uint64_t *)(void *)&taken.state.fields;
    uint64_t *const known = (uint64_t *)(void *)&taken.state.fields_known;
    unsigned i;
    for (i = 0u; i < FIELDS; i++) {
        const unsigned half = fields[i].width / 2u;
        taken.places[i] = whole.place[i] != NOWHERE ? whole.place[i] : high.place[i];
        bits[i] = whole.place[i] != NOWHERE ? whole.value[i] : 0u;
        known[i] = whole.place[i] != NOWHERE ? vmcsc_mask(fields[i].width) : 0u;
        if (high.place[i] == NOWHERE)
            continue;
        if (bits[i] >> half != 0u && bits[i] >> half != high.value[i])
            SAY(CODE_ASSIGNED_TWICE, high.place[i], "the high half of `%s` has another value than the field has there",
                fields[i].name);
        bits[i] = (bits[i] & vmcsc_mask(half)) | high.value[i] << half;
        known[i] = (known[i] & vmcsc_mask(half)) | vmcsc_mask(half) << half;
    }
}

static void take_processor(const struct entry *entry, uint8_t given[STATES])
{
    uint64_t *const bits = (uint64_t *)(void *)&taken.state.processor;
    uint64_t *const known = (uint64_t *)(void *)&taken.state.processor_known;
    char plain[LONGEST_NAME + 1], what[LONGEST_NAME + 3];
    const struct named *const meant =
        plain_name(&entry->key, "processor.", plain) ? find_name(plain, state_names, COUNT(state_names)) : NULL;
    unsigned index, i;
    uint64_t value = 0u;
    int told = 0;
    if (meant == NULL) {
        SAY(CODE_UNKNOWN_NAME, entry->key.place, "nothing of the processor's state is named `%s`",
            shown_key(&entry->key));
        return;
    }
    index = meant->index;
    sprintf(what, "`%s`", states[index].name);
    if (given[index]) {
        SAY(CODE_ASSIGNED_TWICE, entry->key.place, "%s has two values", what);
        return;
    }
    given[index] = 1u;
    for (i = 0u; i < COUNT(state_words) && !told; i++)
        if (state_words[i].state == index && entry->value.kind == IS_STRING && is_word(&entry->value, state_words[i].word)) {
            value = state_words[i].value;
            told = 1;
        }
    if (!told && !take_fact_value(&entry->value, states[index].width, what, &value))
        return;
    bits[index] = value;
    known[index] = vmcsc_mask(states[index].width);
}

/* An MSR by its index or by any name, with or without MSR_ before it. */
static const struct msr *find_msr(const struct piece *key)
{
    char name[LONGEST_NAME + 1];
    const struct named *meant;
    uint64_t number;
    size_t i;
    if (is_numbered(key->from, key->size, &number)) {
        const struct numbered *const numbered = find_number(number, msr_numbers, COUNT(msr_numbers));
        return numbered != NULL ? &msrs[numbered->index] : NULL;
    }
    if (key->size > LONGEST_NAME)
        return NULL;
    for (i = 0u; i < key->size; i++)
        name[i] = (char)lower(key->from[i]);
    name[key->size] = '\0';
    meant = find_name(name, msr_names, COUNT(msr_names));
    if (meant == NULL && strncmp(name, "msr_", 4u) == 0)
        meant = find_name(name + 4, msr_names, COUNT(msr_names));
    return meant != NULL ? &msrs[meant->index] : NULL;
}

/* A fact by its name, perhaps with `cpu.` before it, which is left out of the name. */
static const struct fact *find_fact(struct piece *name)
{
    const size_t prefix = name->size >= 4u && memcmp(name->from, "cpu.", 4u) == 0 ? 4u : 0u;
    unsigned i;
    name->from += prefix;
    name->size -= prefix;
    for (i = 0u; i < COUNT(facts); i++)
        if (is_word(name, facts[i].name))
            return &facts[i];
    return NULL;
}

static void take_fact(const struct fact *fact, size_t place, uint64_t value)
{
    uint64_t *const bits = (uint64_t *)(void *)&taken.cpu, *const known = (uint64_t *)(void *)&taken.cpu_known;
    if (value > vmcsc_mask(fact->width)) {
        say(CODE_CPU_UNREADABLE, 0, UNUSABLE, place, "`%s` is %u bits wide; %" PRIu64 " does not fit", fact->name,
            fact->width, value);
    } else if (known[fact->place] != 0u) {
        SAY(CODE_CPU_INCONSISTENT, place, "`%s` is given twice", fact->name);
    } else if (fact->needed && value == 0u) {
        SAY(CODE_CPU_WITHOUT_VMX, place, "`%s` is 0: without %s no policy can hold", fact->name, fact->sdm);
    } else {
        bits[fact->place] = value;
        known[fact->place] = ~(uint64_t)0;
    }
}

static void take_msr(const struct msr *msr, size_t place, uint64_t value)
{
    uint64_t *const bits = (uint64_t *)(void *)&taken.cpu, *const known = (uint64_t *)(void *)&taken.cpu_known;
    uint64_t wrong;
    unsigned bit = 0u;
    if (msr->place < 0) {
        say(CODE_MSR_IGNORED, 1, 0, place, "%s is not a VMX capability MSR", msr->name);
        return;
    }
    wrong = (bits[msr->place] ^ value) & known[msr->place];
    if (wrong == 0u) {
        bits[msr->place] = value;
        known[msr->place] = ~(uint64_t)0;
        return;
    }
    while ((wrong >> bit & 1u) == 0u)
        bit++;
    SAY(CODE_CPU_INCONSISTENT, place, "%s bit %u is said to be 0 and to be 1", msr->name, bit);
}

/* A fact or a capability MSR; a name of both, such as `pat`, means the fact. */
static void take_cpu(const struct entry *entry)
{
    struct piece name = entry->key;
    const struct fact *const fact = find_fact(&name);
    const struct msr *const msr = fact != NULL ? NULL : find_msr(&entry->key);
    char what[LONGEST + 3];
    uint64_t value;
    sprintf(what, "`%s`", shown_key(&entry->key));
    if (!take_fact_value(&entry->value, 64u, what, &value))
        return;
    if (fact != NULL)
        take_fact(fact, entry->key.place, value);
    else if (msr != NULL)
        take_msr(msr, entry->key.place, value);
    else
        say(CODE_CPU_UNREADABLE, 0, UNUSABLE, entry->key.place, "nothing asks a processor for `%s`",
            shown(name.from, name.size, LONGEST));
}
