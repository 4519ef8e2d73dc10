/* --- What differs between compilers --- */

/* VMCSC_STATIC_ASSERT(condition, "text"); stands at file scope or in a block, in C99 and later and in C++. */
#if defined(__cplusplus)
#define VMCSC_STATIC_ASSERT(condition, text) static_assert(condition, text)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define VMCSC_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#else
#define VMCSC_STATIC_ASSERT(condition, text) extern char vmcsc_static_assertion[(condition) ? 1 : -1]
#endif

/* Before an array that the processor reads as a 4-KiB page. */
#if defined(__GNUC__)
#define VMCSC_PAGE __attribute__((aligned(4096), unused))
#elif defined(_MSC_VER)
#define VMCSC_PAGE __declspec(align(4096))
#elif defined(__cplusplus)
#define VMCSC_PAGE alignas(4096)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define VMCSC_PAGE _Alignas(4096)
#else
#error "tell this compiler to align arrays to 4096 bytes: define VMCSC_PAGE here"
#endif

/* Runs of one byte in the initializer of a page. */
#define VMCSC_16(b) b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b
#define VMCSC_64(b) VMCSC_16(b), VMCSC_16(b), VMCSC_16(b), VMCSC_16(b)
#define VMCSC_256(b) VMCSC_64(b), VMCSC_64(b), VMCSC_64(b), VMCSC_64(b)
#define VMCSC_1024(b) VMCSC_256(b), VMCSC_256(b), VMCSC_256(b), VMCSC_256(b)
#define VMCSC_4096(b) VMCSC_1024(b), VMCSC_1024(b), VMCSC_1024(b), VMCSC_1024(b)

VMCSC_STATIC_ASSERT(sizeof(uint8_t) == 1 && (uint8_t)-1 > 0, "uint8_t has 8 bits and no sign");
VMCSC_STATIC_ASSERT(sizeof(uint16_t) == 2 && (uint16_t)-1 > 0, "uint16_t has 16 bits and no sign");
VMCSC_STATIC_ASSERT(sizeof(uint32_t) == 4 && (uint32_t)-1 > 0, "uint32_t has 32 bits and no sign");
VMCSC_STATIC_ASSERT(sizeof(uint64_t) == 8 && (uint64_t)-1 > 0, "uint64_t has 64 bits and no sign");

/* Arithmetic of policies: functions, as compilers warn of comparisons whose outcome they foresee. */
static inline uint64_t vmcsc_shift_left(uint64_t value, uint64_t count)
{
    return count < 64u ? value << count : 0u;
}

static inline uint64_t vmcsc_shift_right(uint64_t value, uint64_t count)
{
    return count < 64u ? value >> count : 0u;
}

static inline uint64_t vmcsc_equal(uint64_t a, uint64_t b)
{
    return a == b ? 1u : 0u;
}

static inline uint64_t vmcsc_less(uint64_t a, uint64_t b)
{
    return a < b ? 1u : 0u;
}
