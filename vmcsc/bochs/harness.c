/*
 * Carries out a stream of orders that lies on the disk behind the kernel, and writes the replies behind it.
 *
 * All are 64-bit words. The orders are listed below and made by orders.py; numbers of VMX come from there too.
 */
#include "cpu.h"
#include "disk.h"
#include "watchdog.h"

#define STREAM ((uint64_t *)0x2000000)
#define MAX_FIELDS 512
#define MAX_PIECES 64
#define MAX_CODES 16
#define MAX_PAGES 64
#define MAX_TOUCHED 1024
#define PAGE_COPIES ((uint64_t *)0x5000000)
#define CODE_SIZE 64
#define NMI 2
#define CLEAN_MEMORY 0x20000 /* what is 0 again after a guest ran */
#define LOW_MEMORY 0xa0000 /* what cases and guests may use, and what is above the first MiB below the kernel */

enum order { END, READ_MSRS, READ_CPUID, PROBE_MSRS, VMX_ON, PROBE_FIELDS, REPORT, CODE, BASE, CASE, POKE, REGISTER,
             REGISTERS, RUN, INTERRUPT, FLUSH, PAGE, WRITE_FIELD, RESET, TRY_FIELD, HOST, TELL };
enum ending { COMPLETED, FAULTED, EXITED };

extern uint64_t registers[16], flags, host_cr0, host_cr4;
extern const uint8_t *code;
extern char recover[], vm_exit32[];

int run(void);
int run32(void);
#ifdef WITNESS /* so many words it says of an entry before it is made; what it is told comes with TELL */
void witness_told(const uint64_t *words);
void witness(uint64_t *words);
#endif
int main(void);
void fault(struct frame *frame);

static const uint64_t *order;
static uint64_t stream_sector;
static uint32_t interval = 64; /* so many orders, and their replies are written */
static int recovering;
static uint64_t fault_vector, fault_code;
static uint8_t codes[MAX_CODES][CODE_SIZE], region[8192] __attribute__((aligned(4096)));
static uint64_t tables[6][512] __attribute__((aligned(4096)));
uint64_t tables32[4] __attribute__((aligned(32))); /* the same memory for a 32-bit host with PAE */
static uint64_t error_field, reported, report[MAX_FIELDS]; /* the exit reason first, the guest's RIP last */
static uint64_t fields, base[MAX_FIELDS][2], pieces, memory[MAX_PIECES][2];
static uint64_t copies, copied[MAX_PAGES]; /* where the pages lie whose contents are kept */
static uint64_t touched, touched_pages[MAX_TOUCHED]; /* pages above the low memory that orders wrote to */
static int narrow; /* cases run in a 32-bit host */
uint64_t vmcs, vmxon_pointer;

static uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static uint64_t take(void) { return *order++; }

/* --- exceptions --- */

void fault(struct frame *frame)
{
    if (frame->vector == NMI)
        return; /* the watchdog, too late */
    if (!recovering) {
        print("exception ");
        print_hex(frame->vector);
        print(" in the harness at ");
        print_hex(frame->rip);
        print(", CR2 ");
        print_hex(read_cr2());
        print("\n");
        shut_down();
    }
    recovering = 0;
    fault_vector = frame->vector;
    fault_code = frame->error_code;
    frame->rip = (uint64_t)recover;
}

static int run_code(const uint8_t *what)
{
    int ending;
    code = what;
    recovering = 1;
    ending = run();
    recovering = 0;
    return ending;
}

static int run_narrow(const uint8_t *what)
{
    int ending;
    code = what;
    ending = run32();
    vmxon(&vmxon_pointer);
    vmptrld(&vmcs);
    return ending;
}

static const uint8_t rdmsr_code[] = {0x0f, 0x32, 0xc3}, wrmsr_code[] = {0x0f, 0x30, 0xc3};

static int try_rdmsr(uint64_t index, uint64_t *value)
{
    registers[1] = index;
    if (run_code(rdmsr_code) != COMPLETED)
        return 0;
    *value = registers[2] << 32 | (uint32_t)registers[0];
    return 1;
}

static int try_wrmsr(uint64_t index, uint64_t value)
{
    registers[0] = (uint32_t)value;
    registers[1] = index;
    registers[2] = value >> 32;
    return run_code(wrmsr_code) == COMPLETED;
}

/* --- the orders --- */

static void read_msrs(void)
{
    uint64_t n = take(), value;
    while (n--) {
        value = 0;
        give((uint64_t)try_rdmsr(take(), &value));
        give(value);
    }
}

static void read_cpuid(void)
{
    uint64_t n = take(), leaf;
    uint32_t a, b, c, d;
    while (n--) {
        leaf = take();
        c = (uint32_t)take();
        __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "+c"(c), "=d"(d) : "0"((uint32_t)leaf));
        give(a);
        give(b);
        give(c);
        give(d);
    }
}

/* The bits that are 1, or that WRMSR can change. */
static void probe_msrs(void)
{
    uint64_t n = take(), index, old, valid;
    int bit;
    while (n--) {
        index = take();
        old = valid = 0;
        if (try_rdmsr(index, &old))
            for (bit = 0, valid = old; bit < 64; bit++)
                if (try_wrmsr(index, old ^ 1ull << bit)) {
                    valid |= 1ull << bit;
                    try_wrmsr(index, old);
                }
        give(valid);
    }
}

static void map_memory(void)
{
    uint64_t n;
    tables[0][0] = (uint64_t)tables[1] | 3;
    for (n = 0; n < 4; n++) {
        tables[1][n] = (uint64_t)tables[2 + n] | 3;
        tables32[n] = (uint64_t)tables[2 + n] | 1;
    }
    for (n = 0; n < 4 * 512; n++)
        tables[2 + n / 512][n % 512] = n << 21 | 0x83;
    write_cr3((uint64_t)tables[0]);
}

static void vmx_on(void)
{
    uint64_t revision = read_msr((uint32_t)take());
    uint64_t cr0_0 = read_msr((uint32_t)take()), cr0_1 = read_msr((uint32_t)take());
    uint64_t cr4_0 = read_msr((uint32_t)take()), cr4_1 = read_msr((uint32_t)take());
    vmxon_pointer = (uint64_t)region;
    vmcs = (uint64_t)region + 4096;
    host_cr0 = (read_cr0() | cr0_0) & cr0_1;
    host_cr4 = (read_cr4() | cr4_0) & cr4_1;
    write_cr0(host_cr0);
    write_cr4(host_cr4);
    *(uint32_t *)region = *(uint32_t *)(region + 4096) = (uint32_t)revision;
    if (take())
        give((uint64_t)(vmxon(&vmxon_pointer) || vmclear(&vmcs) || vmptrld(&vmcs)));
    else
        give(0);
    give(host_cr0);
    give(host_cr4);
    give((uint64_t)vm_exit);
    give((uint64_t)stack_top);
    give((uint64_t)tables[0]);
    give((uint64_t)vm_exit32);
    give((uint64_t)tables32);
    give((uint64_t)tss);
    give(gdt_pointer.base);
    give(gdt_pointer.limit);
    give(idt_pointer.base);
    give(vmcs);
}

static void probe_fields(void)
{
    uint64_t n = take();
    while (n--)
        give((uint64_t)!vmwrite(take(), 0));
}

static void set_report(void)
{
    uint64_t n;
    error_field = take();
    reported = take();
    for (n = 0; n < reported; n++)
        report[n] = take();
}

/* How the code ended, and the fields to be reported, which mean something where it was an exit. */
static void give_ending(int ending)
{
    uint64_t n;
    give((uint64_t)ending);
    give(ending == FAULTED ? fault_vector : ending == EXITED ? 0 : flags);
    if (ending == FAULTED)
        give(fault_code);
    else
        give(ending == COMPLETED && error_field && (flags & 0x41) == 0x40 ? vmread(error_field) : 0);
    for (n = 0; n < reported; n++)
        give(ending == EXITED ? vmread(report[n]) : 0);
}

static void set_code(void)
{
    uint64_t which = take(), n = take();
    uint8_t *to = codes[which % MAX_CODES];
    while (n--)
        *to++ = (uint8_t)take();
}

static void write_base(void)
{
    uint64_t n;
    for (n = 0; n < fields; n++)
        vmwrite(base[n][0], base[n][1]);
    for (n = 0; n < pieces; n++)
        *(uint64_t *)memory[n][0] = memory[n][1];
}

static void fill(uint64_t to, const uint64_t *from, uint64_t words)
{
    if (from)
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    else
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0) : "memory");
}

/* A guest was entered, which may mark its page tables as accessed even where it gets nowhere: pages as they were. If it
   did get somewhere, it may have written anywhere. */
static void clean(int got_somewhere)
{
    uint64_t n;
    if (got_somewhere)
        fill(0, 0, CLEAN_MEMORY / 8);
    for (n = 0; n < copies && n < MAX_PAGES; n++)
        fill(copied[n], PAGE_COPIES + 512 * n, 512);
}

static void touch(uint64_t address)
{
    uint64_t n;
    address &= ~4095ull;
    for (n = 0; n < touched; n++)
        if (touched_pages[n] == address)
            return;
    if (address >= LOW_MEMORY && touched < MAX_TOUCHED)
        touched_pages[touched++] = address;
}

static void keep_page(void)
{
    uint64_t at = take(), n = copies++;
    touch(at);
    copied[n % MAX_PAGES] = at;
    fill((uint64_t)(PAGE_COPIES + 512 * (n % MAX_PAGES)), order, 512);
    fill(at, order, 512);
    order += 512;
}

static void again(void)
{
    vmclear(&vmcs);
    vmptrld(&vmcs);
    write_base();
}

static void set_base(void)
{
    uint64_t n;
    for (n = 0; n < pieces; n++)
        *(uint64_t *)memory[n][0] = 0;
    fields = take();
    for (n = 0; n < fields; n++) {
        base[n][0] = take();
        base[n][1] = take();
    }
    pieces = take();
    for (n = 0; n < pieces; n++) {
        memory[n][0] = take();
        memory[n][1] = take();
    }
    again();
}

/* One entry: which code, and what differs from the base in fields and in memory. */
static void try_case(void)
{
    uint64_t which = take(), mode = take(), n, changed = take(), written, rip;
    const uint64_t *change = order, *write;
    static uint64_t before[MAX_PIECES];
    int ending;
#ifdef WITNESS
    uint64_t said[WITNESS];
#endif
    order += 2 * changed;
    written = take();
    write = order;
    order += 2 * written;
    for (n = 0; n < changed; n++)
        vmwrite(base[change[2 * n]][0], change[2 * n + 1]);
    for (n = 0; n < written; n++) {
        before[n % MAX_PIECES] = *(uint64_t *)write[2 * n];
        *(uint64_t *)write[2 * n] = write[2 * n + 1];
    }
    for (n = 0; n < 16; n++)
        registers[n] = 0;
    rip = vmread(report[reported - 1]);
#ifdef WITNESS
    witness(said);
#endif
    set_watchdog((uint32_t)mode);
    arm();
    ending = (narrow ? run_narrow : run_code)(codes[which % MAX_CODES]);
    disarm();
    give_ending(ending);
#ifdef WITNESS
    for (n = 0; n < WITNESS; n++)
        give(said[n]);
#endif
    for (n = written; n--;)
        *(uint64_t *)write[2 * n] = before[n % MAX_PIECES];
    if (ending == EXITED) {
        if (!(vmread(report[0]) >> 31))
            clean(vmread(report[reported - 1]) != rip);
        again();
    } else
        for (n = 0; n < changed; n++)
            vmwrite(base[change[2 * n]][0], base[change[2 * n]][1]);
}

static void poke(void)
{
    uint64_t address = take(), n = take();
    touch(address);
    touch(address + n);
    for (; n--; address++)
        *(volatile uint8_t *)address = (uint8_t)take();
}

static void run_once(void)
{
    uint64_t which = take(), mode = take();
    int ending;
    set_watchdog((uint32_t)mode);
    write_cr3(read_cr3()); /* no translation is left from before memory was changed */
    arm();
    give(read_tsc());
    ending = run_code(codes[which % MAX_CODES]);
    give(read_tsc());
    disarm();
    give_ending(ending);
}

/* An interrupt from this processor to itself; it waits, since interrupts are masked here. */
static void interrupt(void)
{
    volatile uint32_t *apic = (volatile uint32_t *)0xfee00000;
    apic[0xf0 / 4] = 0x1ff; /* enabled */
    apic[0xb0 / 4] = 0;     /* nothing is in service */
    apic[0x300 / 4] = 0x40000 | (uint32_t)take();
}

static const uint8_t vmxoff_code[] = {0x0f, 0x01, 0xc4, 0xc3};

static void reset(void)
{
    if (take())
        run_code(vmxoff_code);
    copies = 0;
    fill(0, 0, LOW_MEMORY / 8);
    while (touched)
        fill(touched_pages[--touched], 0, 512);
}

static int carry_out(void)
{
    uint64_t n;
    switch (take()) {
    case READ_MSRS: read_msrs(); break;
    case READ_CPUID: read_cpuid(); break;
    case PROBE_MSRS: probe_msrs(); break;
    case VMX_ON: vmx_on(); break;
    case PROBE_FIELDS: probe_fields(); break;
    case REPORT: set_report(); break;
    case CODE: set_code(); break;
    case BASE: set_base(); break;
    case CASE: try_case(); break;
    case POKE: poke(); break;
    case REGISTER: n = take(); registers[n % 16] = take(); break;
    case REGISTERS: for (n = 0; n < 16; n++) give(registers[n]); break;
    case RUN: run_once(); break;
    case INTERRUPT: interrupt(); break;
    case WRITE_FIELD: n = take(); vmwrite(n, take()); break;
    case TRY_FIELD: n = take(); give((uint64_t)vmwrite(n, take())); break;
    case RESET: reset(); break;
    case PAGE: keep_page(); break;
#ifdef WITNESS
    case TELL: n = take(); witness_told(order); order += n; break;
#endif
    case HOST: narrow = take() == 32; break;
    case FLUSH: interval = (uint32_t)take(); break;
    default: return 0;
    }
    return 1;
}

int main(void)
{
    uint64_t n, sectors;
    uint32_t waiting = 0;
    const uint32_t *place = (const uint32_t *)0x7df0; /* in the first sector: where the stream begins, its sectors */
    stream_sector = place[0];
    sectors = place[1];
    reply_sector = stream_sector + sectors;
    map_memory();
    fill(0, 0, LOW_MEMORY / 8);
    for (n = 0; n < sectors; n++)
        read_sector(stream_sector + n, STREAM + n * WORDS);
    order = STREAM;
    reply = flushed = REPLIES;
    while (carry_out())
        if (++waiting % interval == 0)
            flush();
    flush();
    print("\nharness: end\n");
    shut_down();
    return 0;
}
