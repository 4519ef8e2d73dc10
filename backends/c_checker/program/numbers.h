/* --- Numbers as people write them --- */

#define LIMBS      13 /* of 32 bits: 100 hexadecimal digits */
#define HEX_DIGITS (LIMBS * 8 + 1)

struct number {
    uint32_t limbs[LIMBS]; /* the lowest first */
    int negative;
};

static int lower(char one)
{
    return one >= 'A' && one <= 'Z' ? one - 'A' + 'a' : one;
}

/* The digit that a character is, or 16. */
static unsigned digit_of(char one)
{
    const int small = lower(one);
    if (small >= '0' && small <= '9')
        return (unsigned)(small - '0');
    return small >= 'a' && small <= 'f' ? (unsigned)(small - 'a') + 10u : 16u;
}

/* Whether all characters are digits of that base, or underscores where those are allowed. */
static int all_digits(const char *at, size_t size, unsigned base, int underscores)
{
    size_t i;
    for (i = 0u; i < size; i++)
        if (digit_of(at[i]) >= base && !(underscores && at[i] == '_'))
            return 0;
    return size > 0u;
}

static void put_digits(struct number *number, const char *at, size_t size, unsigned base)
{
    size_t i, limb;
    memset(number->limbs, 0, sizeof(number->limbs));
    for (i = 0u; i < size; i++) {
        uint64_t carry = digit_of(at[i]);
        if (at[i] == '_')
            continue;
        for (limb = 0u; limb < LIMBS; limb++) {
            carry += (uint64_t)number->limbs[limb] * base;
            number->limbs[limb] = (uint32_t)(carry & 0xffffffffu);
            carry >>= 32;
        }
    }
}

static void strip(const char **at, size_t *size)
{
    for (; *size > 0u && **at == ' '; ++*at, --*size)
        ;
    while (*size > 0u && (*at)[*size - 1u] == ' ')
        --*size;
}

/* A number in decimal, with `0x`, or with the `h` of the manual; 0 where the text is none. */
static int parse_number(const char *at, size_t size, struct number *number)
{
    strip(&at, &size);
    number->negative = 0;
    if (size == 0u)
        return 0;
    if (digit_of(at[0]) < 10u && size <= 101u && lower(at[size - 1u]) == 'h' && all_digits(at, size - 1u, 16u, 0)) {
        put_digits(number, at, size - 1u, 16u);
        return 1;
    }
    if (at[0] == '-' || at[0] == '+') {
        number->negative = at[0] == '-';
        at++, size--;
    }
    if (size > 2u && size <= 102u && at[0] == '0' && lower(at[1]) == 'x') {
        put_digits(number, at + 2, size - 2u, 16u);
        return all_digits(at + 2, size - 2u, 16u, 1) && at[size - 1u] != '_';
    }
    if (size == 0u || size > 100u || at[0] == '_' || at[size - 1u] == '_' || !all_digits(at, size, 10u, 1))
        return 0;
    put_digits(number, at, size, 10u);
    return 1;
}

/* How many bits a number has. */
static unsigned bits_of(const struct number *number)
{
    unsigned limb = LIMBS, bits = 0u;
    while (limb > 0u && number->limbs[limb - 1u] == 0u)
        limb--;
    if (limb > 0u)
        for (bits = (limb - 1u) * 32u; number->limbs[limb - 1u] >> (bits % 32u) != 0u; bits++)
            if (bits % 32u == 31u)
                return bits + 1u;
    return bits;
}

static uint64_t low_bits(const struct number *number)
{
    return number->limbs[0] | (uint64_t)number->limbs[1] << 32;
}

static void put_hex(const struct number *number, char text[HEX_DIGITS])
{
    unsigned digit = LIMBS * 8u, length = 0u;
    while (digit > 1u && (number->limbs[(digit - 1u) / 8u] >> ((digit - 1u) % 8u) * 4u & 15u) == 0u)
        digit--;
    for (; digit > 0u; digit--)
        text[length++] = "0123456789abcdef"[number->limbs[(digit - 1u) / 8u] >> ((digit - 1u) % 8u) * 4u & 15u];
    text[length] = '\0';
}

/* A number in the place of a name: an encoding or an index. All bits are set where it has more than 64. */
static int is_numbered(const char *at, size_t size, uint64_t *value)
{
    struct number number;
    strip(&at, &size);
    if (size > 2u && size <= 18u && at[0] == '0' && lower(at[1]) == 'x' && all_digits(at + 2, size - 2u, 16u, 0))
        put_digits(&number, at + 2, size - 2u, 16u);
    else if (size > 1u && size <= 17u && digit_of(at[0]) < 10u && lower(at[size - 1u]) == 'h'
             && all_digits(at, size - 1u, 16u, 0))
        put_digits(&number, at, size - 1u, 16u);
    else if (size <= 20u && all_digits(at, size, 10u, 0))
        put_digits(&number, at, size, 10u);
    else
        return 0;
    *value = bits_of(&number) > 64u ? ~(uint64_t)0 : low_bits(&number);
    return 1;
}
