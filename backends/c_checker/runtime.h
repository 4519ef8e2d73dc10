/* --- What the rules are run over, and what becomes of them --- */

#define VMCSC_NOT_APPLICABLE 0u
#define VMCSC_PASSED         1u
#define VMCSC_VIOLATED       2u
#define VMCSC_UNDETERMINED   3u

/* Reads `bytes` (4 or 8) of physical memory, little endian: the value, and the mask of what is known of it. */
typedef void (*vmcsc_memory)(void *context, uint64_t address, unsigned bytes, uint64_t *value, uint64_t *known);

/* What becomes of each rule. Of those in vmcsc_each, `element` is the number from 1 of the first element that violates the
   rule, else 0; `first`: none before it can violate it. */
struct vmcsc_results {
    uint8_t status[VMCSC_RULES];
    uint8_t first[VMCSC_EACH];
    uint32_t element[VMCSC_EACH];
};

/* A VMCS, the processor it is entered on, and its state, each with the mask of what is known of it. */
struct vmcsc_state {
    struct vmcsc_fields fields;
    struct vmcsc_processor processor;
#ifndef VMCSC_ALL_KNOWN
    struct vmcsc_fields fields_known;
    struct vmcsc_processor processor_known;
#endif
    vmcsc_memory memory; /* null: nothing of memory is known */
    void *context;
};

struct vmcsc_check {
    const struct vmcsc_state *state;
    const struct vmcsc_answers *cpu;
    struct vmcsc_results *results;
    unsigned seen; /* a bit for each status that some rule has */
    uint64_t element; /* the address of the element that a rule is about */
    int element_known;
    int unread; /* memory was asked for and is not known, where there are no masks */
};

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

static inline unsigned vmcsc_status(vmcsc_truth applies, vmcsc_truth holds)
{
    if (applies == VMCSC_FALSE)
        return VMCSC_NOT_APPLICABLE;
    if (holds == VMCSC_TRUE)
        return VMCSC_PASSED;
    return applies == VMCSC_TRUE && holds == VMCSC_FALSE ? VMCSC_VIOLATED : VMCSC_UNDETERMINED;
}

/* Where there are no masks, a rule that read what is not known is undetermined. */
static inline unsigned vmcsc_settled(struct vmcsc_check *x, unsigned status)
{
#ifdef VMCSC_ALL_KNOWN
    if (x->unread && status != VMCSC_NOT_APPLICABLE)
        status = VMCSC_UNDETERMINED;
#endif
    x->unread = 0;
    return status;
}

static inline void vmcsc_tell(struct vmcsc_check *x, unsigned rule, unsigned status)
{
    x->results->status[rule] = (uint8_t)status;
    x->seen |= 1u << status;
}
