/*
 * The checks of VM entry on the current VMCS, right before the processor makes them: vmcsc_checker.h, which
 * `vmcsc emit c-checker` makes, says which rules are violated and how the entry will fail.
 */
#include "vmcsc_checker.h"

#include "cpu.h"

#define MAPPED ((uint64_t)4 << 30) /* memory lies where its addresses say, as far as hypervisor.c maps it */

void check_entry(void);

static int read_field(void *context, uint32_t encoding, uint64_t *value)
{
    (void)context;
    return vmread_into(encoding, value) == 0;
}

static int read_capability(void *context, uint32_t index, uint64_t *value)
{
    (void)context;
    *value = read_msr(index);
    return 1;
}

static void read_memory(void *context, uint64_t address, unsigned bytes, uint64_t *value, uint64_t *known)
{
    unsigned i;
    (void)context;
    for (i = 0; i < bytes && address < MAPPED - bytes; i++) {
        *value |= (uint64_t)((const volatile uint8_t *)address)[i] << 8 * i;
        *known |= (uint64_t)0xff << 8 * i;
    }
}

static void violated(void *context, const struct vmcsc_violation *violation)
{
    (void)context;
    print("violated: ");
    print(violation->name);
    print(" (");
    print(violation->section);
    print(")\n");
}

/* What the processor is and does: zero for what is not known. */
static struct vmcsc_cpu cpu, cpu_known;
static struct vmcsc_answers answers;
static struct vmcsc_state state;

/* Once for a processor: what its capability MSRs answer to the rules. */
static void ask_processor(void)
{
    vmcsc_fill_cpu(&cpu, &cpu_known, read_capability, 0);
    vmcsc_ask(&cpu, &cpu_known, &answers);
}

static void read_facts(void)
{
    const uint32_t widths = cpuid_eax(0x80000008);
    cpu.maxphyaddr = widths & 0xff;
    cpu.linear_address_width = widths >> 8 & 0xff;
    cpu.intel_64 = 1; /* this is 64-bit code */
    cpu_known.maxphyaddr = cpu_known.linear_address_width = cpu_known.intel_64 = ~(uint64_t)0;
}

/* What VM entry will make of the current VMCS. */
static struct vmcsc_verdict foretell(vmcsc_violated tell)
{
    static struct vmcsc_results results;
    vmcsc_fill_fields(&state, read_field, 0);
    state.memory = read_memory;
    state.violated = tell;
    return vmcsc_check_state(&state, &answers, &results);
}

void check_entry(void)
{
    struct vmcsc_verdict verdict;
    read_facts();
    ask_processor();
    verdict = foretell(violated);
    if (verdict.enters != VMCSC_FAILS)
        return;
    print("the entry will fail by ");
    print(vmcsc_check_name(verdict.rule));
    if (verdict.outcome.exit_reason < 0) {
        print(", error ");
        print_hex((uint64_t)verdict.outcome.instruction_error);
    } else {
        print(", exit reason ");
        print_hex((uint64_t)verdict.outcome.exit_reason);
        print(" qualification ");
        print_hex(verdict.outcome.qualification < 0 ? 0 : (uint64_t)verdict.outcome.qualification);
    }
    print("\n");
}
