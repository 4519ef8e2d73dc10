/* How many states a second the generated checker runs over: standard input has the processor, then states, as structs. */
#include "vmcsc_checker.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 10

int main(int argc, char **argv)
{
    static struct vmcsc_cpu cpu, cpu_known;
    static struct vmcsc_answers answers;
    static struct vmcsc_results results;
    static struct vmcsc_fields fields_known;
    static struct vmcsc_processor processor_known;
    const size_t count = argc > 1 ? strtoul(argv[1], 0, 10) : 0u;
    struct vmcsc_state *states = calloc(count, sizeof(*states));
    unsigned long enters = 0u;
    clock_t start;

    if (fread(&cpu, sizeof(cpu), 1, stdin) != 1 || fread(&cpu_known, sizeof(cpu), 1, stdin) != 1)
        return 1;
    vmcsc_ask(&cpu, &cpu_known, &answers);
    for (size_t i = 0; i < count; i++) {
        if (fread(&states[i].fields, sizeof(states->fields), 1, stdin) != 1
            || fread(&fields_known, sizeof(fields_known), 1, stdin) != 1
            || fread(&states[i].processor, sizeof(states->processor), 1, stdin) != 1
            || fread(&processor_known, sizeof(processor_known), 1, stdin) != 1)
            return 1;
#ifndef VMCSC_ALL_KNOWN
        states[i].fields_known = fields_known;
        states[i].processor_known = processor_known;
#endif
    }
    start = clock();
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < count; i++)
            enters += vmcsc_check_state(&states[i], &answers, &results).enters;
    printf("%f %lu\n", (double)ROUNDS * (double)count * CLOCKS_PER_SEC / (double)(clock() - start), enters);
    free(states);
    return 0;
}
