/*
 * The checks of VM entry on the current VMCS: call check_entry() where VMLAUNCH or VMRESUME comes next, with preemption
 * off. What is wrong goes to the kernel's log; false where the entry will fail.
 */
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/types.h>
#include <asm/msr.h>
#include <asm/processor.h>

#include "vmcsc_checker.h"

struct work {
	struct vmcsc_cpu cpu, cpu_known;
	struct vmcsc_answers answers;
	struct vmcsc_state state;
	struct vmcsc_results results;
};

static DEFINE_PER_CPU(struct work, check_entry_work);

static int read_capability(void *context, uint32_t index, uint64_t *value)
{
	unsigned long long content;

	if (rdmsrl_safe(index, &content))
		return 0;
	*value = content;
	return 1;
}

static int read_field(void *context, uint32_t encoding, uint64_t *value)
{
	unsigned long content = 0;
	bool failed;

	asm volatile("vmread %2, %1; setbe %0"
		     : "=qm"(failed), "=r"(content) : "r"((unsigned long)encoding) : "cc");
	*value = content;
	return !failed;
}

static void violated(void *context, const struct vmcsc_violation *violation)
{
	pr_err("VM entry violates %s (%s)\n", violation->name, violation->section);
}

bool check_entry(void);
bool check_entry(void)
{
	struct work *work = this_cpu_ptr(&check_entry_work);
	struct vmcsc_verdict verdict;

	vmcsc_fill_cpu(&work->cpu, &work->cpu_known, read_capability, NULL);
	work->cpu.maxphyaddr = boot_cpu_data.x86_phys_bits;
	work->cpu_known.maxphyaddr = ~(uint64_t)0;
	work->cpu.linear_address_width = boot_cpu_data.x86_virt_bits;
	work->cpu_known.linear_address_width = ~(uint64_t)0;
	vmcsc_ask(&work->cpu, &work->cpu_known, &work->answers);
	vmcsc_fill_fields(&work->state, read_field, NULL);
	work->state.violated = violated;
	verdict = vmcsc_check_state(&work->state, &work->answers, &work->results);
	return verdict.enters != VMCSC_FAILS;
}
EXPORT_SYMBOL_GPL(check_entry);

MODULE_DESCRIPTION("The checks of VM entry, before the processor makes them");
MODULE_LICENSE("GPL"); /* for EXPORT_SYMBOL_GPL and the symbols that it uses: say what is true of yours */
