/* The generated functions are static, so this file gives Rust one to call. */
#include "vmcsc_checker.h"

struct outcome {
    unsigned enters, undetermined;
    int exit_reason, qualification, instruction_error;
    const char *rule;
};

struct outcome checked_entry(vmcsc_reader rdmsr, vmcsc_reader vmread, vmcsc_violated violated, uint64_t maxphyaddr,
                             void *context);

struct outcome checked_entry(vmcsc_reader rdmsr, vmcsc_reader vmread, vmcsc_violated violated, uint64_t maxphyaddr,
                             void *context)
{
    struct vmcsc_cpu cpu = {0}, cpu_known = {0};
    struct vmcsc_answers answers;
    struct vmcsc_state state = {0};
    struct vmcsc_results results;
    struct vmcsc_verdict verdict;
    struct outcome outcome = {0};
    unsigned rule;

    vmcsc_fill_cpu(&cpu, &cpu_known, rdmsr, context);
    cpu.maxphyaddr = maxphyaddr;
    cpu_known.maxphyaddr = maxphyaddr ? ~(uint64_t)0 : 0;
    vmcsc_ask(&cpu, &cpu_known, &answers);
    vmcsc_fill_fields(&state, vmread, context);
    state.violated = violated;
    state.context = context;
    verdict = vmcsc_check_state(&state, &answers, &results);
    outcome.enters = verdict.enters;
    for (rule = 0; rule < VMCSC_RULES; rule++)
        outcome.undetermined += vmcsc_status_of(&results, rule) == VMCSC_UNDETERMINED;
    outcome.exit_reason = verdict.outcome.exit_reason;
    outcome.qualification = verdict.outcome.qualification;
    outcome.instruction_error = verdict.outcome.instruction_error;
    outcome.rule = vmcsc_check_name(verdict.rule);
    return outcome;
}
