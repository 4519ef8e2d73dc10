/* --- The verdict in words --- */

/* Outcomes of one stage, in the order in which they are named; `element`: 0, or what the qualification is. */
struct named_outcome {
    unsigned outcome;
    uint32_t element;
};

static struct named_outcome named_outcomes[2u * OUTCOMES];
static unsigned outcomes_named;

static void name_outcome(unsigned outcome, uint32_t element)
{
    unsigned i;
    if (outcomes[outcome].qualified)
        element = 0u;
    for (i = 0u; i < outcomes_named; i++)
        if (named_outcomes[i].outcome == outcome && named_outcomes[i].element == element)
            return;
    for (i = outcomes_named++; i > 0u && outcomes[named_outcomes[i - 1u].outcome].rank > outcomes[outcome].rank; i--)
        named_outcomes[i] = named_outcomes[i - 1u];
    named_outcomes[i].outcome = outcome;
    named_outcomes[i].element = element;
}

/* The element by which the processor reports a rule, else 0. */
static uint32_t reported_element(const struct vmcsc_results *results, unsigned rule)
{
    unsigned i;
    for (i = 0u; i < VMCSC_EACH; i++)
        if (vmcsc_each[i] == rule)
            return vmcsc_reported(results, (int)i);
    return 0u;
}

/* What rules that are violated may cause in a stage. Elements are loaded in order, so the first that fails counts. */
static void name_violations(const struct vmcsc_results *results, unsigned stage)
{
    uint32_t earliest = 0u;
    unsigned rule, pass, i;
    for (pass = 0u; pass < 2u; pass++)
        for (rule = 0u; rule < VMCSC_RULES; rule++) {
            const uint32_t element = reported_element(results, rule);
            if (ways[rule].stage != stage || vmcsc_status_of(results, rule) != VMCSC_VIOLATED)
                continue;
            if (pass == 0u && element != 0u && (earliest == 0u || element < earliest))
                earliest = element;
            for (i = 0u; pass == 1u && element <= earliest && i < ways[rule].count; i++)
                name_outcome(ways[rule].outcomes[i], element);
        }
}

/* What rules that are undetermined may cause in a stage, but for those that hang on the state of the processor. */
static void name_possible(struct vmcsc_check *x, unsigned stage)
{
    unsigned rule, i;
    for (rule = 0u; rule < VMCSC_RULES; rule++) {
        if (ways[rule].stage != stage || vmcsc_status_of(x->results, rule) != VMCSC_UNDETERMINED
            || hangs_on_processor(x, rule))
            continue;
        for (i = 0u; i < ways[rule].count; i++)
            name_outcome(ways[rule].outcomes[i], 0u);
    }
}

/* The text of an outcome; equal ones are named once. */
static int named_before(unsigned i)
{
    unsigned j;
    for (j = 0u; j < i; j++)
        if (strcmp(outcomes[named_outcomes[j].outcome].text, outcomes[named_outcomes[i].outcome].text) == 0
            && named_outcomes[j].element == named_outcomes[i].element)
            return 1;
    return 0;
}

static void put_violations(void)
{
    unsigned i, last = 0u, some = 0u;
    for (i = 0u; i < outcomes_named; i++)
        if (!named_before(i))
            last = i;
    fputs("VM entry fails: ", stdout);
    for (i = 0u; i <= last; i++) {
        if (named_before(i))
            continue;
        fputs(some == 0u ? "" : i == last ? "; or " : "; ", stdout);
        fputs(outcomes[named_outcomes[i].outcome].text, stdout);
        if (named_outcomes[i].element != 0u)
            printf(", qualification %" PRIu32, named_outcomes[i].element);
        some = 1u;
    }
    putchar('\n');
}

/* Whether the entry fails, and how; else whether it may, the state of the processor left aside. */
static void put_verdict(struct vmcsc_check *x, const struct vmcsc_verdict *verdict)
{
    unsigned stage, i, some = 0u;
    if (verdict->enters == VMCSC_FAILS) {
        outcomes_named = 0u;
        name_violations(x->results, ways[verdict->rule].stage);
        put_violations();
        return;
    }
    for (stage = 0u; stage < STAGES; stage++) {
        outcomes_named = 0u;
        name_possible(x, stage);
        for (i = 0u; i < outcomes_named; i++) {
            fputs(some == 0u ? "nothing that is known forbids VM entry, but it may fail: " : "; ", stdout);
            fputs(outcomes[named_outcomes[i].outcome].brief, stdout);
            some = 1u;
        }
    }
    if (some == 0u)
        printf("VM entry succeeds%s", verdict->enters == VMCSC_OPEN ? ", the state of the processor left aside" : "");
    putchar('\n');
}
