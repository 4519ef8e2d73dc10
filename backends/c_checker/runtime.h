/* --- What the rules are run over, and what becomes of them --- */

#define VMCSC_NOT_APPLICABLE 0u
#define VMCSC_PASSED         1u
#define VMCSC_VIOLATED       2u
#define VMCSC_UNDETERMINED   3u

/* Reads `bytes` (4 or 8) of physical memory, little endian: the value, and the mask of what is known of it. */
typedef void (*vmcsc_memory)(void *context, uint64_t address, unsigned bytes, uint64_t *value, uint64_t *known);

/* A rule that a state violates, and the encodings of the fields that it reads. Without names, those are null. */
struct vmcsc_violation {
    unsigned rule;
    uint32_t element; /* the number from 1 of the element of an area, else 0 */
    const char *name, *section;
    const uint16_t *fields;
    unsigned fields_count;
};
typedef void (*vmcsc_violated)(void *context, const struct vmcsc_violation *violation);

#define VMCSC_RESULT_WORDS ((VMCSC_RULES + 63u) / 64u)

/* What becomes of each rule: a bit in one of those, or in none where it passed. Of those in vmcsc_each, `element` is the
   number from 1 of the first element that violates the rule, else 0; `first`: none before it can violate it. */
struct vmcsc_results {
    uint64_t not_applicable[VMCSC_RESULT_WORDS];
    uint64_t violated[VMCSC_RESULT_WORDS];
    uint64_t undetermined[VMCSC_RESULT_WORDS];
    uint32_t element[VMCSC_EACH];
    uint8_t first[VMCSC_EACH];
};

/* A VMCS, the processor it is entered on, and its state, each with the mask of what is known of it. */
struct vmcsc_state {
    struct vmcsc_fields fields;
    struct vmcsc_processor processor;
#ifndef VMCSC_ALL_KNOWN
    struct vmcsc_fields fields_known;
    struct vmcsc_processor processor_known;
#endif
    vmcsc_memory memory;     /* null: nothing of memory is known */
    vmcsc_violated violated; /* called for each rule that is violated, in the order of the rules; or null */
    void *context;           /* what both are called with */
};

struct vmcsc_check {
    const struct vmcsc_state *state;
    const struct vmcsc_answers *cpu;
    struct vmcsc_results *results;
    struct vmcsc_in_force in_force;
    unsigned best;    /* the first of vmcsc_causes that is violated */
    int elements;     /* a rule about elements is */
    int undetermined; /* some rule is */
    uint64_t element; /* the address of the element that a rule is about */
    int element_known;
    int unread; /* memory was asked for and is not known, where there are no masks */
};

#ifdef VMCSC_ALL_KNOWN
#define VMCSC_FIELD(name) (s->fields.name)
#define VMCSC_STATE(name) (s->processor.name)
#else
#define VMCSC_FIELD(name) vmcsc_v(s->fields.name, s->fields_known.name)
#define VMCSC_STATE(name) vmcsc_v(s->processor.name, s->processor_known.name)
#endif

#ifdef __GNUC__
#define VMCSC_SELDOM static __attribute__((__cold__, __noinline__, __unused__))
#else
#define VMCSC_SELDOM static
#endif

static inline vmcsc_value vmcsc_read(struct vmcsc_check *x, vmcsc_value address, unsigned width)
{
    uint64_t value = 0u, known = 0u;
    if (x->state->memory != 0 && vmcsc_v_known(address, 64u))
        x->state->memory(x->state->context, vmcsc_v_bits(address), width / 8u, &value, &known);
    if ((known & vmcsc_mask(width)) != vmcsc_mask(width))
        x->unread = 1;
    return vmcsc_v(value & known, known & vmcsc_mask(width));
}

/* Bits of the element that the rule is about, which lie within 64 bits from bit 0 or from bit 64 on. */
static inline vmcsc_value vmcsc_element(struct vmcsc_check *x, unsigned low, unsigned width)
{
    vmcsc_value half;
    if (!x->element_known) {
        x->unread = 1;
        return vmcsc_v(0u, 0u);
    }
    half = vmcsc_read(x, vmcsc_v(x->element + (low / 64u) * 8u, ~(uint64_t)0), 64u);
    return vmcsc_v_slice(half, low % 64u, width);
}

/* What becomes of a rule. Where there are no masks, one that read what is not known is undetermined. */
static inline unsigned vmcsc_status(struct vmcsc_check *x, vmcsc_truth applies, vmcsc_truth holds)
{
    const int unread = x->unread;
    x->unread = 0;
    if (applies == VMCSC_FALSE)
        return VMCSC_NOT_APPLICABLE;
#ifdef VMCSC_ALL_KNOWN
    if (unread)
        return VMCSC_UNDETERMINED;
#else
    (void)unread;
#endif
    if (holds == VMCSC_TRUE)
        return VMCSC_PASSED;
    return applies == VMCSC_TRUE && holds == VMCSC_FALSE ? VMCSC_VIOLATED : VMCSC_UNDETERMINED;
}

VMCSC_SELDOM void vmcsc_tell_violated(struct vmcsc_check *x, unsigned rule, uint32_t element)
{
    struct vmcsc_violation violation;
    x->elements |= element != 0u;
    if (vmcsc_rank[rule] < x->best)
        x->best = vmcsc_rank[rule];
    if (x->state->violated == 0)
        return;
    violation.rule = rule;
    violation.element = element;
    violation.name = vmcsc_check_name(rule);
    violation.section = vmcsc_check_section(rule);
    violation.fields = vmcsc_check_fields(rule, &violation.fields_count);
    x->state->violated(x->state->context, &violation);
}

VMCSC_SELDOM void vmcsc_tell(struct vmcsc_check *x, unsigned rule, unsigned status, uint32_t element)
{
    const uint64_t bit = (uint64_t)1 << rule % 64u;
    if (status == VMCSC_NOT_APPLICABLE)
        x->results->not_applicable[rule / 64u] |= bit;
    if (status == VMCSC_UNDETERMINED) {
        x->results->undetermined[rule / 64u] |= bit;
        x->undetermined = 1;
    }
    if (status == VMCSC_VIOLATED) {
        x->results->violated[rule / 64u] |= bit;
        vmcsc_tell_violated(x, rule, element);
    }
}

/* What became of a rule. */
static inline unsigned vmcsc_status_of(const struct vmcsc_results *results, unsigned rule)
{
    const unsigned word = rule / 64u, bit = rule % 64u;
    return results->violated[word] >> bit & 1u         ? VMCSC_VIOLATED
           : results->undetermined[word] >> bit & 1u   ? VMCSC_UNDETERMINED
           : results->not_applicable[word] >> bit & 1u ? VMCSC_NOT_APPLICABLE
                                                       : VMCSC_PASSED;
}
