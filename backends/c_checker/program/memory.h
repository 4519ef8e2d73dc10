/* --- Memory that a text gives --- */

struct memory_piece {
    uint64_t address;
    size_t size, place; /* of the address in the text */
    const uint8_t *bytes;
};

static struct memory_piece *pieces;
static size_t pieces_count;
static uint8_t *all_bytes; /* of all pieces one behind the other: never more than the text has characters */
static size_t bytes_count;

/* The bytes that a value gives: hexadecimal digits, or numbers in a list; 0 where they are wrong, which was said then. */
static int take_bytes(const struct form *form, size_t index, struct memory_piece *piece)
{
    const struct entry *const entry = &form->entries[index];
    const size_t start = bytes_count;
    size_t i, digits = 0u;
    int prefixed = 0;
    int good = entry->value.kind == IS_STRING || entry->value.kind == IS_LIST;
    piece->bytes = all_bytes + start;
    for (i = index + 1u; good && i < entry->end; i++)
        good = form->entries[i].value.kind != IS_NULL;
    if (good && entry->value.kind == IS_LIST) {
        for (i = index + 1u; i < entry->end; i++) {
            uint64_t byte = 0u;
            good = take_value(&form->entries[i].value, 8u, "a byte", &byte) && good;
            all_bytes[bytes_count++] = (uint8_t)byte;
        }
        piece->size = bytes_count - start;
        return good;
    }
    for (i = 0u; good && i < entry->value.size; i++) {
        const char one = entry->value.from[i];
        if (one == ' ')
            continue;
        if (digits == 1u && !prefixed && all_bytes[start] == 0u && lower(one) == 'x') {
            prefixed = 1;
            digits = 0u;
            continue;
        }
        good = digit_of(one) < 16u;
        all_bytes[start + digits / 2u] = (uint8_t)((digits % 2u == 0u ? 0 : all_bytes[start + digits / 2u] << 4) | (int)(digit_of(one) & 15u));
        digits++;
    }
    if (good && digits % 2u == 0u) {
        piece->size = digits / 2u;
        bytes_count += digits / 2u;
        return 1;
    }
    SAY(CODE_BAD_VALUE, entry->value.place,
        "the content of memory is a text of hexadecimal bytes, or a list of numbers from 0 to 255");
    return 0;
}

static int by_address(const void *left, const void *right)
{
    const struct memory_piece *const a = (const struct memory_piece *)left;
    const struct memory_piece *const b = (const struct memory_piece *)right;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static void take_piece(const struct form *form, size_t index)
{
    const struct entry *const entry = &form->entries[index];
    struct memory_piece *const piece = &pieces[pieces_count];
    struct number number;
    const int is_number = parse_number(entry->key.from, entry->key.size, &number);
    const int good = take_bytes(form, index, piece);
    if (!is_number || bits_of(&number) > 64u || (number.negative && bits_of(&number) != 0u)) {
        SAY(CODE_BAD_VALUE, entry->key.place, "`%s` is no address: a number of 64 bits, decimal or with `0x` before it",
            shown_key(&entry->key));
    } else if (good) {
        piece->address = low_bits(&number);
        piece->place = entry->key.place;
        if (piece->size != 0u && piece->address + (piece->size - 1u) < piece->address)
            SAY(CODE_BAD_VALUE, entry->value.place, "this goes beyond the last address");
        else
            pieces_count++;
    }
}

/* No byte is given twice. */
static void check_overlaps(size_t place)
{
    uint64_t last = 0u; /* the last byte that a piece so far has */
    size_t i;
    int some = 0;
    for (i = 0u; i < pieces_count; i++) {
        const struct memory_piece *const piece = &pieces[i];
        const uint64_t end = piece->address + piece->size - 1u;
        if (i > 0u && piece->address == pieces[i - 1u].address) {
            SAY(CODE_ASSIGNED_TWICE, piece->place, "memory at 0x%" PRIx64 " is given twice", piece->address);
            continue;
        }
        if (some && piece->address <= last)
            SAY(CODE_ASSIGNED_TWICE, place,
                "memory at 0x%" PRIx64 " is given twice: a piece before it reaches to 0x%" PRIx64, piece->address, last);
        if (piece->size != 0u && (!some || end > last))
            last = end;
        some |= piece->size != 0u;
    }
}

static void take_memory(const struct form *form, size_t section)
{
    size_t i, next;
    pieces = (struct memory_piece *)memory_of((form->entries[section].end - section) * sizeof(*pieces));
    all_bytes = (uint8_t *)memory_of(form->text->size + 1u);
    pieces_count = bytes_count = 0u;
    for (i = section + 1u; i < form->entries[section].end; i = next) {
        next = form->entries[i].end;
        take_piece(form, i);
    }
    qsort(pieces, pieces_count, sizeof(*pieces), by_address);
    check_overlaps(form->entries[section].value.place);
}

static void drop_memory(void)
{
    free(pieces);
    free(all_bytes);
    pieces = NULL;
    all_bytes = NULL;
    pieces_count = 0u;
}

static int holds(const void *wanted, const void *other)
{
    const uint64_t address = *(const uint64_t *)wanted;
    const struct memory_piece *const piece = (const struct memory_piece *)other;
    return address < piece->address ? -1 : address - piece->address >= piece->size;
}

/* What the checker asks for: little endian, and known byte by byte. */
static void read_memory(void *context, uint64_t address, unsigned bytes, uint64_t *value, uint64_t *known)
{
    unsigned i;
    (void)context;
    for (i = 0u; i < bytes; i++) {
        const uint64_t place = address + i;
        const struct memory_piece *const piece =
            pieces_count == 0u
                ? NULL
                : (const struct memory_piece *)bsearch(&place, pieces, pieces_count, sizeof(*pieces), holds);
        if (piece == NULL)
            continue;
        *value |= (uint64_t)piece->bytes[place - piece->address] << 8u * i;
        *known |= (uint64_t)0xff << 8u * i;
    }
}
