/*
 * The checks of the bare hypervisor within the harness: of each entry they say what it will come to, before it is made.
 */
#include "check.c"

void witness_told(const uint64_t *words);
void witness(uint64_t *words);

static void take(void *to, const uint64_t **from, unsigned size)
{
    uint64_t *const words = to;
    unsigned i;
    for (i = 0; i < size / 8; i++)
        words[i] = *(*from)++;
}

/* The facts that CPUID does not tell this program, and the state of the processor. */
void witness_told(const uint64_t *words)
{
    take(&cpu, &words, sizeof(cpu));
    take(&cpu_known, &words, sizeof(cpu_known));
    take(&state.processor, &words, sizeof(state.processor));
    take(&state.processor_known, &words, sizeof(state.processor_known));
    ask_processor();
}

void witness(uint64_t *words)
{
    const struct vmcsc_verdict verdict = foretell(0);
    words[0] = verdict.enters;
    words[1] = verdict.rule;
    words[2] = (uint64_t)verdict.outcome.exit_reason;
    words[3] = (uint64_t)verdict.outcome.qualification;
    words[4] = (uint64_t)verdict.outcome.instruction_error;
    words[5] = (uint64_t)verdict.outcome.fault;
}
