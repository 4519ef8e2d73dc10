/* A signal for guests that do not come back by themselves, from the timer through the I/O APIC. */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include "cpu.h"

#define IOAPIC ((volatile uint32_t *)0xfec00000)

/* The timer goes off once, after so many ticks of 0.84 us; what it counted before is forgotten. */
static void count(uint16_t ticks)
{
    out8(0x43, 0x30);
    out8(0x40, (uint8_t)ticks);
    out8(0x40, (uint8_t)(ticks >> 8));
}

static void arm(void) { count(0x200); }

/* It counts only from when it is told how far. */
static void disarm(void) { out8(0x43, 0x30); }

/* `mode` is how the I/O APIC delivers what the timer raises: as an NMI, or as INIT for guests that block NMIs. */
static void set_watchdog(uint32_t mode)
{
    static uint32_t now = ~0u;
    if (mode == now)
        return;
    now = mode;
    disarm();
    IOAPIC[0] = 0x15; /* entry 2, where the timer is: to processor 0 */
    IOAPIC[4] = 0;
    IOAPIC[0] = 0x14;
    IOAPIC[4] = mode << 8;
}

#endif
