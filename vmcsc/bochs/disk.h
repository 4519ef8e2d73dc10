/* The disk, by PIO: orders are read from it, and replies collected and written behind them. */
#ifndef DISK_H
#define DISK_H

#include "cpu.h"

#define REPLIES ((uint64_t *)0x6000000)
#define END_OF_REPLIES ((uint64_t *)0x7ff0000)
#define SECTOR 512
#define WORDS (SECTOR / 8)

static uint64_t *reply, *flushed, reply_sector;

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void select(uint64_t sector, uint8_t count, uint8_t command)
{
    out8(0x3f6, 2); /* no interrupts */
    out8(0x1f2, count);
    out8(0x1f3, (uint8_t)sector);
    out8(0x1f4, (uint8_t)(sector >> 8));
    out8(0x1f5, (uint8_t)(sector >> 16));
    out8(0x1f6, (uint8_t)(0xe0 | (sector >> 24 & 15)));
    out8(0x1f7, command);
}

static void wait(void)
{
    while ((in8(0x1f7) & 0x88) != 8) /* busy is 0, data request is 1 */
        ;
}

static void read_sector(uint64_t sector, void *to)
{
    uint64_t count = SECTOR / 2;
    select(sector, 1, 0x20);
    wait();
    __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(0x1f0) : "memory");
}

static void write_sector(uint64_t sector, const void *from)
{
    uint64_t count = SECTOR / 2;
    select(sector, 1, 0x30);
    wait();
    __asm__ volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(0x1f0) : "memory");
    while (in8(0x1f7) & 0x80)
        ;
}

/* Write what there is of replies, and how much that is into the sector before them. */
static void flush(void)
{
    static uint64_t head[WORDS];
    while (flushed < reply) {
        write_sector(reply_sector + 1 + (uint64_t)(flushed - REPLIES) / WORDS, flushed);
        if (reply < flushed + WORDS)
            break;
        flushed += WORDS;
    }
    head[0] = (uint64_t)(reply - REPLIES);
    write_sector(reply_sector, head);
}

static void give(uint64_t value)
{
    if (reply < END_OF_REPLIES)
        *reply++ = value;
}

#endif
