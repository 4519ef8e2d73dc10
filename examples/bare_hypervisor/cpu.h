/* Instructions that C has no words for, and the debug console of the emulator. */
#ifndef CPU_H
#define CPU_H

#include <stdint.h>

/* What start.asm leaves on the stack at an exception. */
struct frame {
    uint64_t vector, error_code, rip, cs, rflags, rsp, ss;
};

/* A descriptor table, as LGDT and LIDT take it. */
struct __attribute__((packed)) table {
    uint16_t limit;
    uint64_t base;
};

extern char tss[], stack_top[], vm_exit[];
extern struct table gdt_pointer, idt_pointer;

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t read_msr(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t read_cr0(void) { uint64_t v; __asm__ volatile("mov %%cr0, %0" : "=r"(v)); return v; }
static inline uint64_t read_cr2(void) { uint64_t v; __asm__ volatile("mov %%cr2, %0" : "=r"(v)); return v; }
static inline uint64_t read_cr3(void) { uint64_t v; __asm__ volatile("mov %%cr3, %0" : "=r"(v)); return v; }
static inline uint64_t read_cr4(void) { uint64_t v; __asm__ volatile("mov %%cr4, %0" : "=r"(v)); return v; }
static inline void write_cr0(uint64_t v) { __asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory"); }
static inline void write_cr3(uint64_t v) { __asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
static inline void write_cr4(uint64_t v) { __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }

/* VMX instructions return 0 where they succeeded: neither CF (VMfailInvalid) nor ZF (VMfailValid) is set. */
#define VMX_WITH_POINTER(name)                                                                    \
    static inline int name(const uint64_t *pointer)                                               \
    {                                                                                             \
        uint8_t failed;                                                                           \
        __asm__ volatile(#name " %1; setbe %0" : "=rm"(failed) : "m"(*pointer) : "cc", "memory"); \
        return failed;                                                                            \
    }
VMX_WITH_POINTER(vmxon)
VMX_WITH_POINTER(vmclear)
VMX_WITH_POINTER(vmptrld)

static inline int vmwrite(uint64_t encoding, uint64_t value)
{
    uint8_t failed;
    __asm__ volatile("vmwrite %2, %1; setbe %0" : "=rm"(failed) : "r"(encoding), "rm"(value) : "cc");
    return failed;
}

static inline int vmread_into(uint64_t encoding, uint64_t *value)
{
    uint8_t failed;
    __asm__ volatile("vmread %2, %1; setbe %0" : "=rm"(failed), "+r"(*value) : "r"(encoding) : "cc");
    return failed;
}

static inline uint64_t vmread(uint64_t encoding)
{
    uint64_t value = 0;
    vmread_into(encoding, &value);
    return value;
}

/* EAX of a leaf of CPUID. */
static inline uint32_t cpuid_eax(uint32_t leaf)
{
    uint32_t ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(leaf), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return leaf;
}

static inline void print(const char *text)
{
    while (*text)
        out8(0xe9, (uint8_t)*text++);
}

static inline void print_hex(uint64_t value)
{
    int shift = 60;
    print("0x");
    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        out8(0xe9, (uint8_t)"0123456789abcdef"[value >> shift & 15]);
}

/* The way to end the emulator from inside. */
static inline void shut_down(void)
{
    const char *text = "Shutdown";
    while (*text)
        out8(0x8900, (uint8_t)*text++);
    for (;;)
        __asm__ volatile("hlt");
}

#endif
