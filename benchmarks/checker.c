/* How many states a second the generated checker runs over. Standard input has the processor, a valid state, and for each
 * further state what it differs in, which is put into the state and taken out again: so a caller's state lies in the
 * cache too, which has just read it from the VMCS.
 */
#include "vmcsc_checker.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHANGES 3

struct change {
    uint64_t place, bits; /* the place of a field among the fields */
};

static int read_into(void *place, size_t size)
{
    return fread(place, size, 1, stdin) == 1;
}

int main(int argc, char **argv)
{
    static struct vmcsc_cpu cpu, cpu_known;
    static struct vmcsc_answers answers;
    static struct vmcsc_results results;
    static struct vmcsc_fields fields_known;
    static struct vmcsc_processor processor_known;
    static struct vmcsc_state state;
    uint64_t *fields = (uint64_t *)&state.fields;
    const size_t count = argc > 1 ? strtoul(argv[1], 0, 10) : 0u;
    struct change *changes = calloc(count * CHANGES, sizeof(*changes));
    unsigned long verdicts[3] = {0u, 0u, 0u};
    clock_t start;

    if (!read_into(&cpu, sizeof(cpu)) || !read_into(&cpu_known, sizeof(cpu)) || !read_into(&state.fields, sizeof(state.fields))
        || !read_into(&fields_known, sizeof(fields_known)) || !read_into(&state.processor, sizeof(state.processor))
        || !read_into(&processor_known, sizeof(processor_known)) || !read_into(changes, count * CHANGES * sizeof(*changes)))
        return 1;
    vmcsc_ask(&cpu, &cpu_known, &answers);
#ifndef VMCSC_ALL_KNOWN
    state.fields_known = fields_known;
    state.processor_known = processor_known;
#endif
    start = clock();
    for (size_t i = 0; i < count * CHANGES; i += CHANGES) {
        for (size_t c = i; c < i + CHANGES; c++)
            fields[changes[c].place] ^= changes[c].bits;
        verdicts[vmcsc_check_state(&state, &answers, &results).enters]++;
        for (size_t c = i; c < i + CHANGES; c++)
            fields[changes[c].place] ^= changes[c].bits;
    }
    printf("%f fails %lu, enters %lu, open %lu\n", (double)count * CLOCKS_PER_SEC / (double)(clock() - start), verdicts[0],
           verdicts[1], verdicts[2]);
    free(changes);
    return 0;
}
