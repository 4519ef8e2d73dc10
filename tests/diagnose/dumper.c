/* A hypervisor's own code that dumps a VMCS, run in user space: VMREAD answers from a table that standard input fills.
 *
 * Commands, one a line: `f ENCODING VALUE` a field, `h NAME 0|1` what the processor has, `e VALUE` the guest's EFER,
 * `m LIST INDEX VALUE` an entry of an MSR list (guest, store or host), `p PREFIX` what precedes every line, `r` forget
 * all, `g` dump; each dump ends with a line `--`, and the encodings that were read stand in the line after it.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int64_t s64;

#define BITS 0x8000
static u64 values[BITS];
static u8 asked[BITS];
static char prefix[200];

static u64 vmread(unsigned long encoding)
{
	asked[encoding & (BITS - 1)] = 1;
	return values[encoding & (BITS - 1)];
}

static int print_prefixed(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int print_prefixed(const char *format, ...)
{
	va_list arguments;
	int done = printf("%s", prefix);

	va_start(arguments, format);
	done += vprintf(format, arguments);
	va_end(arguments);
	return done;
}

#define HAS(name) static bool has_##name;
#include "has.inc"
#undef HAS

struct msr_entry {
	u32 index;
	u32 reserved;
	u64 value;
};
struct msrs {
	unsigned int nr;
	struct msr_entry val[16];
};
static struct msrs guest_msrs, store_msrs, host_msrs;
static u64 guest_efer;

#include "dumped.inc"

static void put_msr(const char *list, u32 index, u64 value)
{
	struct msrs *to = !strcmp(list, "guest") ? &guest_msrs : !strcmp(list, "store") ? &store_msrs : &host_msrs;

	if (to->nr < 16)
		to->val[to->nr++] = (struct msr_entry){ index, 0, value };
}

static void dump(void)
{
	memset(asked, 0, sizeof(asked));
	dump_all();
	printf("--\n");
	for (unsigned int encoding = 0; encoding < BITS; encoding++)
		if (asked[encoding])
			printf("%x ", encoding);
	printf("\n");
	fflush(stdout);
}

int main(void)
{
	char line[300], name[100];
	unsigned int number;
	u64 value;

	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "f %x %llx", &number, &value) == 2)
			values[number & (BITS - 1)] = value;
		else if (sscanf(line, "h %99s %u", name, &number) == 2) {
#define HAS(known) if (!strcmp(name, #known)) has_##known = number;
#include "has.inc"
#undef HAS
		} else if (sscanf(line, "e %llx", &value) == 1)
			guest_efer = value;
		else if (sscanf(line, "m %99s %x %llx", name, &number, &value) == 3)
			put_msr(name, number, value);
		else if (line[0] == 'p') {
			snprintf(prefix, sizeof(prefix), "%s", line[1] ? line + 2 : "");
			prefix[strcspn(prefix, "\n")] = 0;
		} else if (line[0] == 'r') {
			memset(values, 0, sizeof(values));
			guest_msrs.nr = store_msrs.nr = host_msrs.nr = 0;
		} else if (line[0] == 'g')
			dump();
	}
	return 0;
}
