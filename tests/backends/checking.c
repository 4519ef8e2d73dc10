/* Runs the generated checker over states that standard input has as structs: for each, whether a processor comes first
 * (1: with its masks), how many pieces of memory there are (or -1: memory is not known), the pieces, and the state.
 * Gives the status and element of each rule, and the verdict.
 */
#include "vmcsc_checker.h"

#include <stdio.h>
#include <string.h>

#define MOST 64

static struct piece {
    uint64_t address, bytes;
} pieces[MOST];
static int64_t count;

static void memory(void *context, uint64_t address, unsigned bytes, uint64_t *value, uint64_t *known)
{
    (void)context;
    for (unsigned i = 0; i < bytes; i++)
        for (int64_t p = 0; p < count; p++)
            if (address + i - pieces[p].address < 8u) {
                *value |= (pieces[p].bytes >> 8u * (address + i - pieces[p].address) & 0xffu) << 8u * i;
                *known |= (uint64_t)0xff << 8u * i;
            }
}

/* Every violation is told once, in order. */
static unsigned told[VMCSC_RULES + 1u], told_count;

static void violated(void *context, const struct vmcsc_violation *violation)
{
    (void)context;
    told[told_count++ % (VMCSC_RULES + 1u)] = violation->rule;
}

static int all_told(const struct vmcsc_results *results)
{
    unsigned found = 0u;
    for (unsigned rule = 0; rule < VMCSC_RULES; rule++)
        if (vmcsc_status_of(results, rule) == VMCSC_VIOLATED && (found >= told_count || told[found++] != rule))
            return 0;
    return found == told_count;
}

int main(void)
{
    static struct vmcsc_cpu cpu, cpu_known;
    static struct vmcsc_answers answers;
    static struct vmcsc_state state;
    static struct vmcsc_fields fields_known;
    static struct vmcsc_processor processor_known;
    static struct vmcsc_results results;
    int64_t head[2];

    while (fread(head, sizeof(head), 1, stdin) == 1) {
        struct vmcsc_verdict verdict;
        memset(&state, 0, sizeof(state));
        if (head[0]) {
            if (fread(&cpu, sizeof(cpu), 1, stdin) != 1 || fread(&cpu_known, sizeof(cpu), 1, stdin) != 1)
                return 1;
            vmcsc_ask(&cpu, &cpu_known, &answers);
        }
        count = head[1] < 0 ? 0 : head[1];
        if (count > MOST || fread(pieces, sizeof(pieces[0]), (size_t)count, stdin) != (size_t)count)
            return 1;
        if (fread(&state.fields, sizeof(state.fields), 1, stdin) != 1
            || fread(&fields_known, sizeof(fields_known), 1, stdin) != 1
            || fread(&state.processor, sizeof(state.processor), 1, stdin) != 1
            || fread(&processor_known, sizeof(processor_known), 1, stdin) != 1)
            return 1;
#ifndef VMCSC_ALL_KNOWN
        state.fields_known = fields_known;
        state.processor_known = processor_known;
#endif
        if (head[1] >= 0)
            state.memory = memory;
        state.violated = violated;
        told_count = 0u;
        verdict = vmcsc_check_state(&state, &answers, &results);
        if (!all_told(&results))
            return 2;
        for (unsigned rule = 0; rule < VMCSC_RULES; rule++) {
            uint32_t became[2] = {vmcsc_status_of(&results, rule), 0u};
            for (unsigned place = 0; place < VMCSC_EACH; place++)
                if (vmcsc_each[place] == rule)
                    became[1] = results.element[place];
            fwrite(became, sizeof(became), 1, stdout);
        }
        fwrite(&verdict, sizeof(verdict), 1, stdout);
    }
    return 0;
}
