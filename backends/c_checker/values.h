static inline uint64_t vmcsc_mask(unsigned width)
{
    return width < 64u ? ((uint64_t)1 << width) - 1u : ~(uint64_t)0;
}

typedef unsigned vmcsc_truth;

#ifndef VMCSC_ALL_KNOWN
/* --- Values of which some bits may be unknown --- */

/* `bits` of which those in `known` are known; the others are 0 in `bits`. */
struct vmcsc_masked {
    uint64_t bits, known;
};
typedef struct vmcsc_masked vmcsc_value;

/* A truth value: may it be true (1), may it be false (2). */
#define VMCSC_TRUE  1u
#define VMCSC_FALSE 2u
#define VMCSC_MAYBE 3u

/* Whether anybody said what a member of a struct is. */
#define VMCSC_TOLD(known, member) ((known)->member != 0u)

static inline vmcsc_value vmcsc_v(uint64_t bits, uint64_t known)
{
    vmcsc_value value;
    value.bits = bits & known;
    value.known = known;
    return value;
}

/* The same where no bit is set that is not known. */
static inline vmcsc_value vmcsc_v_made(uint64_t bits, uint64_t known)
{
    vmcsc_value value;
    value.bits = bits;
    value.known = known;
    return value;
}

static inline uint64_t vmcsc_v_bits(vmcsc_value a)
{
    return a.bits;
}

static inline int vmcsc_v_known(vmcsc_value a, unsigned width)
{
    return a.known == vmcsc_mask(width);
}

/* What holds whichever of both is the case. */
static inline vmcsc_value vmcsc_v_common(vmcsc_value a, vmcsc_value b)
{
    return vmcsc_v(a.bits, a.known & b.known & ~(a.bits ^ b.bits));
}

static inline vmcsc_truth vmcsc_t(int truth)
{
    return truth ? VMCSC_TRUE : VMCSC_FALSE;
}

static inline vmcsc_truth vmcsc_t_not(vmcsc_truth a)
{
    return ((a << 1) | (a >> 1)) & 3u;
}

static inline vmcsc_truth vmcsc_t_and(vmcsc_truth a, vmcsc_truth b)
{
    return (a & b & 1u) | ((a | b) & 2u);
}

static inline vmcsc_truth vmcsc_t_or(vmcsc_truth a, vmcsc_truth b)
{
    return ((a | b) & 1u) | (a & b & 2u);
}

static inline vmcsc_truth vmcsc_t_xor(vmcsc_truth a, vmcsc_truth b)
{
    return vmcsc_t_or(vmcsc_t_and(a, vmcsc_t_not(b)), vmcsc_t_and(vmcsc_t_not(a), b));
}

/* One bit of a value as truth, and truth as a value of one bit. */
static inline vmcsc_truth vmcsc_v_bit(vmcsc_value a, unsigned bit)
{
    return (vmcsc_truth)(((a.bits | ~a.known) >> bit & 1u) | (~a.bits >> bit & 1u) << 1);
}

/* A control word, of which nothing is in force where it is not active. */
static inline vmcsc_value vmcsc_v_active(vmcsc_value word, vmcsc_truth active)
{
    if (active == VMCSC_TRUE)
        return word;
    return vmcsc_v_made(0u, active == VMCSC_FALSE ? ~(uint64_t)0 : word.known & ~word.bits);
}

/* Is a bit certainly 1, certainly 0? */
static inline int vmcsc_v_one(vmcsc_value a, unsigned bit)
{
    return (int)(a.bits >> bit & 1u);
}

static inline int vmcsc_v_zero(vmcsc_value a, unsigned bit)
{
    return (int)((a.known & ~a.bits) >> bit & 1u);
}

static inline vmcsc_value vmcsc_t_value(vmcsc_truth a, unsigned width)
{
    return vmcsc_v(a & 1u, a == VMCSC_MAYBE ? vmcsc_mask(width) - 1u : vmcsc_mask(width));
}

static inline vmcsc_value vmcsc_v_slice(vmcsc_value a, unsigned low, unsigned width)
{
    return vmcsc_v_made((a.bits >> low) & vmcsc_mask(width), (a.known >> low) & vmcsc_mask(width));
}

/* Cut off at `width`, or widened from `from` with zeros. */
static inline vmcsc_value vmcsc_v_resize(vmcsc_value a, unsigned from, unsigned width)
{
    uint64_t above = width > from ? vmcsc_mask(width) & ~vmcsc_mask(from) : 0u;
    return vmcsc_v_made(a.bits & vmcsc_mask(width), (a.known | above) & vmcsc_mask(width));
}

static inline vmcsc_value vmcsc_v_not(vmcsc_value a, unsigned width)
{
    (void)width;
    return vmcsc_v(~a.bits, a.known);
}

static inline vmcsc_value vmcsc_v_and(vmcsc_value a, vmcsc_value b)
{
    return vmcsc_v_made(a.bits & b.bits, (a.known & b.known) | (a.known & ~a.bits) | (b.known & ~b.bits));
}

static inline vmcsc_value vmcsc_v_or(vmcsc_value a, vmcsc_value b)
{
    return vmcsc_v_made(a.bits | b.bits, (a.known & b.known) | a.bits | b.bits);
}

static inline vmcsc_value vmcsc_v_xor(vmcsc_value a, vmcsc_value b)
{
    return vmcsc_v(a.bits ^ b.bits, a.known & b.known);
}

static inline uint64_t vmcsc_v_highest(vmcsc_value a, unsigned width)
{
    return a.bits | (vmcsc_mask(width) & ~a.known);
}

static inline vmcsc_value vmcsc_v_add(vmcsc_value a, vmcsc_value b, unsigned carry, unsigned width)
{
    uint64_t lowest = a.bits + b.bits + carry;
    uint64_t high_a = vmcsc_v_highest(a, width), high_b = vmcsc_v_highest(b, width);
    uint64_t highest = high_a + high_b + carry;
    uint64_t settled = ~(highest ^ high_a ^ high_b) | (lowest ^ a.bits ^ b.bits);
    return vmcsc_v(lowest, a.known & b.known & settled & vmcsc_mask(width));
}

static inline vmcsc_value vmcsc_v_multiply(vmcsc_value a, vmcsc_value b, unsigned width)
{
    uint64_t whole = vmcsc_mask(width), both = a.known & b.known;
    uint64_t settled = ((~both & (both + 1u)) - 1u) & whole;
    int zero = (a.known == whole && a.bits == 0u) || (b.known == whole && b.bits == 0u);
    return vmcsc_v(a.bits * b.bits, zero ? whole : settled);
}

/* Shifts; a count of `counted` bits that is not wholly known leaves nothing known. */
static inline vmcsc_value vmcsc_v_left(vmcsc_value a, vmcsc_value by, unsigned counted, unsigned width)
{
    if (by.known != vmcsc_mask(counted))
        return vmcsc_v(0u, 0u);
    if (by.bits >= width)
        return vmcsc_v(0u, vmcsc_mask(width));
    return vmcsc_v(a.bits << by.bits, ((a.known << by.bits) | (((uint64_t)1 << by.bits) - 1u)) & vmcsc_mask(width));
}

static inline vmcsc_value vmcsc_v_right(vmcsc_value a, vmcsc_value by, unsigned counted, unsigned width)
{
    uint64_t whole = vmcsc_mask(width);
    if (by.known != vmcsc_mask(counted))
        return vmcsc_v(0u, 0u);
    if (by.bits >= width)
        return vmcsc_v(0u, whole);
    return vmcsc_v(a.bits >> by.bits, (a.known >> by.bits) | (whole & ~(whole >> by.bits)));
}

static inline vmcsc_truth vmcsc_v_equal(vmcsc_value a, vmcsc_value b, unsigned width)
{
    if (((a.bits ^ b.bits) & a.known & b.known) != 0u)
        return VMCSC_FALSE;
    return (a.known & b.known) == vmcsc_mask(width) ? VMCSC_TRUE : VMCSC_MAYBE;
}

/* Are they certainly equal, certainly not? A bit that is not known is 0. */
static inline int vmcsc_v_surely_equal(vmcsc_value a, vmcsc_value b, unsigned width)
{
    return a.bits == b.bits && a.known == vmcsc_mask(width) && b.known == vmcsc_mask(width);
}

static inline int vmcsc_v_surely_unequal(vmcsc_value a, vmcsc_value b, unsigned width)
{
    (void)width;
    return ((a.bits ^ b.bits) & a.known & b.known) != 0u;
}

/* The same of the bits in `mask` and a constant. */
static inline int vmcsc_v_surely_is(vmcsc_value a, uint64_t mask, uint64_t value)
{
    return (((a.bits ^ value) | ~a.known) & mask) == 0u;
}

static inline int vmcsc_v_surely_is_not(vmcsc_value a, uint64_t mask, uint64_t value)
{
    return ((a.bits ^ value) & a.known & mask) != 0u;
}

static inline vmcsc_truth vmcsc_v_less(vmcsc_value a, vmcsc_value b, unsigned width)
{
    if (vmcsc_v_highest(a, width) < b.bits)
        return VMCSC_TRUE;
    return a.bits >= vmcsc_v_highest(b, width) ? VMCSC_FALSE : VMCSC_MAYBE;
}

/* Has a value no bit at or above a limit, which lies between `lowest` and `highest` where it is unknown? */
static inline vmcsc_truth vmcsc_v_fits(vmcsc_value a, unsigned width, vmcsc_value limit, unsigned limited,
                                       unsigned lowest, unsigned highest)
{
    uint64_t low = limit.bits, high = vmcsc_v_highest(limit, limited);
    if (limit.known != vmcsc_mask(limited)) {
        low = low > lowest ? low : lowest;
        high = high < highest ? high : highest;
    }
    if (low >= 64u || vmcsc_v_highest(a, width) >> low == 0u)
        return VMCSC_TRUE;
    return high < 64u && a.bits >> high != 0u ? VMCSC_FALSE : VMCSC_MAYBE;
}

/* Are the value and the limit known, and does it fit? */
static inline int vmcsc_v_plainly_fits(vmcsc_value a, unsigned width, vmcsc_value limit, unsigned limited)
{
    return vmcsc_v_known(a, width) && vmcsc_v_known(limit, limited) && limit.bits < 64u && a.bits >> limit.bits == 0u;
}

static inline int vmcsc_v_plainly_sign_extended(vmcsc_value a, unsigned width, vmcsc_value limit, unsigned limited)
{
    if (width != 64u || !vmcsc_v_known(a, 64u) || !vmcsc_v_known(limit, limited) || limit.bits - 1u >= 63u)
        return 0;
    return (a.bits + ((uint64_t)1 << (limit.bits - 1u))) >> limit.bits == 0u; /* -half to half - 1 */
}

static inline vmcsc_truth vmcsc_v_alike(vmcsc_value a, unsigned width, uint64_t limit)
{
    uint64_t low = limit > 0u ? limit - 1u : 0u;
    uint64_t top = low < 64u ? vmcsc_mask(width) & ~(((uint64_t)1 << low) - 1u) : 0u;
    uint64_t ones = a.bits & top, zeros = a.known & ~a.bits & top;
    if (ones != 0u && zeros != 0u)
        return VMCSC_FALSE;
    return ones == top || zeros == top || (top & (top - 1u)) == 0u ? VMCSC_TRUE : VMCSC_MAYBE;
}

/* Are the bits of a value from a limit less 1 up all alike? */
static inline vmcsc_truth vmcsc_v_sign_extended(vmcsc_value a, unsigned width, vmcsc_value limit,
                                                unsigned limited, unsigned lowest, unsigned highest)
{
    uint64_t low = limit.bits, high = vmcsc_v_highest(limit, limited);
    vmcsc_truth first, second;
    if (limit.known != vmcsc_mask(limited)) {
        low = low > lowest ? low : lowest;
        high = high < highest ? high : highest;
    }
    first = vmcsc_v_alike(a, width, low);
    if (low == high)
        return first;
    second = vmcsc_v_alike(a, width, high);
    return first == second ? first : VMCSC_MAYBE;
}

#else
/* --- Values of which every bit is known --- */

typedef uint64_t vmcsc_value;

#define VMCSC_TRUE  1u
#define VMCSC_FALSE 0u
#define VMCSC_MAYBE 2u

#define VMCSC_TOLD(known, member) 1
#define vmcsc_v(bits, known)      ((uint64_t)(bits))
#define vmcsc_v_bits(a)           (a)
#define vmcsc_v_known(a, width)   1
#define vmcsc_v_common(a, b)      (a)

static inline vmcsc_truth vmcsc_t_not(vmcsc_truth a)
{
    return a ^ 1u;
}

static inline vmcsc_truth vmcsc_t_and(vmcsc_truth a, vmcsc_truth b)
{
    return a & b;
}

static inline vmcsc_truth vmcsc_t_or(vmcsc_truth a, vmcsc_truth b)
{
    return a | b;
}

static inline vmcsc_truth vmcsc_t_xor(vmcsc_truth a, vmcsc_truth b)
{
    return a ^ b;
}

static inline vmcsc_truth vmcsc_v_bit(vmcsc_value a, unsigned bit)
{
    return (vmcsc_truth)(a >> bit & 1u);
}

static inline vmcsc_value vmcsc_v_active(vmcsc_value word, vmcsc_truth active)
{
    return active ? word : 0u;
}

static inline int vmcsc_v_one(vmcsc_value a, unsigned bit)
{
    return (int)(a >> bit & 1u);
}

static inline int vmcsc_v_zero(vmcsc_value a, unsigned bit)
{
    return (int)(~a >> bit & 1u);
}

static inline vmcsc_value vmcsc_t_value(vmcsc_truth a, unsigned width)
{
    (void)width;
    return a;
}

static inline vmcsc_value vmcsc_v_slice(vmcsc_value a, unsigned low, unsigned width)
{
    return (a >> low) & vmcsc_mask(width);
}

static inline vmcsc_value vmcsc_v_resize(vmcsc_value a, unsigned from, unsigned width)
{
    (void)from;
    return a & vmcsc_mask(width);
}

static inline vmcsc_value vmcsc_v_not(vmcsc_value a, unsigned width)
{
    return ~a & vmcsc_mask(width);
}

static inline vmcsc_value vmcsc_v_and(vmcsc_value a, vmcsc_value b)
{
    return a & b;
}

static inline vmcsc_value vmcsc_v_or(vmcsc_value a, vmcsc_value b)
{
    return a | b;
}

static inline vmcsc_value vmcsc_v_xor(vmcsc_value a, vmcsc_value b)
{
    return a ^ b;
}

static inline vmcsc_value vmcsc_v_add(vmcsc_value a, vmcsc_value b, unsigned carry, unsigned width)
{
    return (a + b + carry) & vmcsc_mask(width);
}

static inline vmcsc_value vmcsc_v_multiply(vmcsc_value a, vmcsc_value b, unsigned width)
{
    return a * b & vmcsc_mask(width);
}

static inline vmcsc_value vmcsc_v_left(vmcsc_value a, vmcsc_value by, unsigned counted, unsigned width)
{
    (void)counted;
    return by < width ? a << by & vmcsc_mask(width) : 0u;
}

static inline vmcsc_value vmcsc_v_right(vmcsc_value a, vmcsc_value by, unsigned counted, unsigned width)
{
    (void)counted;
    return by < width ? a >> by : 0u;
}

static inline vmcsc_truth vmcsc_v_equal(vmcsc_value a, vmcsc_value b, unsigned width)
{
    (void)width;
    return a == b;
}

static inline int vmcsc_v_surely_equal(vmcsc_value a, vmcsc_value b, unsigned width)
{
    (void)width;
    return a == b;
}

static inline int vmcsc_v_surely_unequal(vmcsc_value a, vmcsc_value b, unsigned width)
{
    (void)width;
    return a != b;
}

static inline int vmcsc_v_surely_is(vmcsc_value a, uint64_t mask, uint64_t value)
{
    return ((a ^ value) & mask) == 0u;
}

static inline int vmcsc_v_surely_is_not(vmcsc_value a, uint64_t mask, uint64_t value)
{
    return ((a ^ value) & mask) != 0u;
}

static inline vmcsc_truth vmcsc_v_less(vmcsc_value a, vmcsc_value b, unsigned width)
{
    (void)width;
    return a < b;
}

static inline vmcsc_truth vmcsc_v_fits(vmcsc_value a, unsigned width, vmcsc_value limit, unsigned limited, unsigned lowest,
                                       unsigned highest)
{
    (void)width, (void)limited, (void)lowest, (void)highest;
    return limit >= 64u || a >> limit == 0u;
}

static inline vmcsc_truth vmcsc_v_sign_extended(vmcsc_value a, unsigned width, vmcsc_value limit, unsigned limited,
                                                unsigned lowest, unsigned highest)
{
    const uint64_t low = limit > 0u ? limit - 1u : 0u;
    const uint64_t top = low < 64u ? vmcsc_mask(width) & ~(((uint64_t)1 << low) - 1u) : 0u;
    (void)limited, (void)lowest, (void)highest;
    return (a & top) == 0u || (a & top) == top;
}

static inline int vmcsc_v_plainly_fits(vmcsc_value a, unsigned width, vmcsc_value limit, unsigned limited)
{
    (void)width, (void)limited;
    return limit >= 64u || a >> limit == 0u;
}

static inline int vmcsc_v_plainly_sign_extended(vmcsc_value a, unsigned width, vmcsc_value limit, unsigned limited)
{
    (void)limited;
    return width == 64u && limit - 1u < 63u && (a + ((uint64_t)1 << ((limit - 1u) & 63u))) >> (limit & 63u) == 0u;
}
#endif
