/*
 * A hypervisor for one guest, as small as it can be: VMXON, a VMCS, VMLAUNCH, and a line for each VM exit.
 *
 * All it knows of VMX stands in policy.h, which `vmcsc emit c-header` makes from bare.vmcs: numbers of fields and
 * reasons, which controls this processor grants, and the value of every field.
 */
#include "policy.h"

#include "cpu.h"

#define PRESENT_WRITABLE 0x3u
#define LARGE 0x80u

/* The guest's registers that the VMCS does not hold, as entry.asm pushes them. */
struct registers {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
};

typedef uint64_t page[512] __attribute__((aligned(4096)));

static page vmxon_region, vmcs_region, virtual_apic, page_log;
static page page_tables[6], ept_tables[6]; /* 4 GiB each: one page of either upper level, four of the third */
static struct bare_vmcs vmcs;

void guest(void);
void check_entry(void);
void launch(uint64_t rdi);
void handle_exit(struct registers *guest);
void entry_failed(int invalid);
void fault(const struct frame *frame);
int main(void);

static void stop(const char *text)
{
    print(text);
    print("\nend\n");
    shut_down();
}

void fault(const struct frame *frame)
{
    print("exception ");
    print_hex(frame->vector);
    print(" in the hypervisor at ");
    print_hex(frame->rip);
    stop("");
}

/* --- what the generated functions ask for --- */

static uint64_t rdmsr_for_policy(void *context, uint32_t index)
{
    (void)context;
    return read_msr(index);
}

static int vmwrite_for_policy(void *context, uint32_t encoding, uint64_t value)
{
    (void)context;
    return vmwrite(encoding, value);
}

/* --- memory: addresses mean the same everywhere --- */

/* Map 4 GiB to themselves in pages of 2 MiB. `table` and `leaf` are what entries have besides an address. */
static void map(page *tables, uint64_t table, uint64_t leaf)
{
    uint64_t n;
    tables[0][0] = (uint64_t)tables[1] | table;
    for (n = 0; n < 4; n++)
        tables[1][n] = (uint64_t)tables[2 + n] | table;
    for (n = 0; n < 4 * 512; n++)
        tables[2 + n / 512][n % 512] = n << 21 | leaf;
}

static void map_all(void)
{
    uint64_t access = VMCSC_EPT_ENTRY_READ_MASK | VMCSC_EPT_ENTRY_WRITE_MASK | VMCSC_EPT_ENTRY_EXECUTE_MASK;
    uint64_t type = VMCSC_EPT_ENTRY_MEMORY_TYPE_WRITE_BACK << VMCSC_EPT_ENTRY_MEMORY_TYPE_SHIFT;
    map(page_tables, PRESENT_WRITABLE, PRESENT_WRITABLE | LARGE);
    map(ept_tables, access, access | type | VMCSC_EPT_ENTRY_MAPS_PAGE_MASK);
    write_cr3((uint64_t)page_tables[0]);
}

/* --- into VMX operation, and into the guest --- */

static void enter_vmx_operation(const struct vmcsc_capabilities *c)
{
    uint64_t vmxon_pointer = (uint64_t)vmxon_region, vmcs_pointer = (uint64_t)vmcs_region;
    write_cr0((read_cr0() | c->ia32_vmx_cr0_fixed0) & c->ia32_vmx_cr0_fixed1);
    write_cr4((read_cr4() | c->ia32_vmx_cr4_fixed0) & c->ia32_vmx_cr4_fixed1);
    vmxon_region[0] = (uint32_t)c->ia32_vmx_basic; /* the revision identifier */
    vmcs_region[0] = (uint32_t)c->ia32_vmx_basic;
    if (vmxon(&vmxon_pointer) || vmclear(&vmcs_pointer) || vmptrld(&vmcs_pointer))
        stop("VMXON, VMCLEAR or VMPTRLD failed");
}

static void fill_in(struct bare_arguments *a)
{
    bare_defaults(a);
    a->param_host_rip = (uint64_t)vm_exit;
    a->param_host_rsp = (uint64_t)stack_top;
    a->param_host_cr4 = read_cr4();
    a->param_page_tables = (uint64_t)page_tables[0];
    a->param_ept_tables = (uint64_t)ept_tables[0];
    a->param_tss = (uint64_t)tss;
    a->param_gdt = gdt_pointer.base;
    a->param_gdt_limit = gdt_pointer.limit;
    a->param_idt = idt_pointer.base;
    a->param_guest_rip = (uint64_t)guest;
    a->param_guest_rsp = (uint64_t)stack_top; /* unused: the guest calls nothing */
    a->param_virtual_apic = (uint64_t)virtual_apic;
    a->param_page_log = (uint64_t)page_log;
    bare_identity_pages(a);
}

/* The policy asks for something that this processor does not grant, and the generated code knows what. */
static void refused(int outcome)
{
    struct vmcsc_control control;
    unsigned rule;
    if (outcome == VMCSC_REFUSED && vmcsc_first_refused(&vmcs.result, &control)) {
        print("refused: ");
        stop(vmcsc_control_name(control.word, control.mask));
    }
    for (rule = 0; outcome == VMCSC_VIOLATED && rule < VMCSC_RULES; rule++)
        if (vmcs.result.violated[rule / 64] >> rule % 64 & 1) {
            print("violated: ");
            stop(vmcsc_rule_name(rule));
        }
    print("the policy cannot be had here, outcome ");
    print_hex((uint64_t)outcome);
    print(", field ");
    print_hex(outcome == VMCSC_WRITE_FAILED ? vmcs.result.failed_field : vmcs.result.conflicting_field);
    stop("");
}

/* VPID 0 is the hypervisor's own; a policy may leave it to us which one the guest has. */
static void give_vpid(void)
{
    if (vmcs.result.value[VMCSC_WORD_SECONDARY] & VMCSC_SECONDARY_ENABLE_VPID)
        if (vmread(VMCSC_FIELD_VIRTUAL_PROCESSOR_ID) == 0)
            vmwrite(VMCSC_FIELD_VIRTUAL_PROCESSOR_ID, 1);
}

/* `make run SPOIL=0x6820=0` writes a value that the processor will not like, to see it and the checks say so. */
static void spoil(void)
{
#ifdef SPOILED_FIELD
    if (vmwrite(SPOILED_FIELD, SPOILED_VALUE))
        stop("that field cannot be spoiled here");
#endif
}

int main(void)
{
    struct vmcsc_capabilities capabilities;
    struct bare_arguments arguments;
    int outcome;

    print("\nbare hypervisor\n");
    map_all();
    vmcsc_read_capabilities(&capabilities, rdmsr_for_policy, 0);
    enter_vmx_operation(&capabilities);
    fill_in(&arguments);
    outcome = bare_resolve(&capabilities, &arguments, &vmcs);
    if (outcome == VMCSC_OK)
        outcome = bare_write(&capabilities, &vmcs, vmwrite_for_policy, 0);
    if (outcome != VMCSC_OK)
        refused(outcome);
    give_vpid();
    spoil();
    check_entry();
    print("VMLAUNCH\n");
    launch((vmcs.result.value[VMCSC_WORD_PRIMARY] & VMCSC_PRIMARY_HLT_EXITING) != 0);
    return 0;
}

/* --- out of it again --- */

void entry_failed(int invalid)
{
    print("VM entry failed, error ");
    print_hex(invalid ? 0 : vmread(VMCSC_FIELD_VM_INSTRUCTION_ERROR));
    stop("");
}

void handle_exit(struct registers *guest_registers)
{
    uint32_t reason = (uint32_t)vmread(VMCSC_FIELD_EXIT_REASON);
    uint64_t rip = vmread(VMCSC_FIELD_GUEST_RIP), length = vmread(VMCSC_FIELD_EXIT_INSTRUCTION_LENGTH);

    (void)guest_registers; /* a hypervisor that gives the guest something to see would do so here */
    print(reason & VMCSC_EXIT_REASON_ENTRY_FAILURE_MASK ? "VM entry failed: " : "VM exit: ");
    reason &= VMCSC_EXIT_REASON_BASIC_REASON_MASK;
    print(vmcsc_exit_reason_name(reason));
    print(" qualification ");
    print_hex(vmread(VMCSC_FIELD_EXIT_QUALIFICATION));
    print(" rip ");
    print_hex(rip - (uint64_t)guest);
    print(" length ");
    print_hex(length);
    print("\n");
    switch (reason) {
    case VMCSC_EXIT_REASON_VMCALL:
        stop("the guest is done");
        break;
    case VMCSC_EXIT_REASON_CPUID:
    case VMCSC_EXIT_REASON_HLT:
    case VMCSC_EXIT_REASON_RDTSC:
    case VMCSC_EXIT_REASON_CR_ACCESS:
    case VMCSC_EXIT_REASON_IO_INSTRUCTION:
    case VMCSC_EXIT_REASON_RDMSR:
        vmwrite(VMCSC_FIELD_GUEST_RIP, rip + length);
        break;
    default:
        stop("nobody expected that");
    }
}
