/* --- The form: lines `NAME: VALUE`, with others indented below them, or an object of JSON --- */

enum kind { IS_NULL, IS_BOOL, IS_INTEGER, IS_FLOAT, IS_STRING, IS_LIST, IS_MAPPING };

/* A piece of the text. What it says lies from `from` on, without the quotes that it may begin with at `place`. */
struct piece {
    const char *from;
    size_t size, place;
    enum kind kind;
};

/* A value with its key; items of a list have none. What stands within it follows it, up to the entry `end`. */
struct entry {
    struct piece key, value;
    size_t parent, end;
};

#define NO_PARENT ((size_t)-1)

struct form {
    const struct text *text;
    struct entry *entries;
    size_t count, room;
    unsigned long nodes;
    size_t at;         /* how far the text was read */
    int object;        /* it is one, and not lines */
    const char *wrong; /* why it is not in the form, and where */
    size_t wrong_place;
};

static int refuse(struct form *form, size_t place, const char *why)
{
    form->wrong = why;
    form->wrong_place = place;
    return 0;
}

/* The character at a place; behind the end all lines have ended. */
static char character(const struct form *form, size_t place)
{
    return place < form->text->size ? form->text->at[place] : '\n';
}

static int line_ends(const struct form *form)
{
    const char one = character(form, form->at);
    return one == '\n' || one == '\r'; /* which stands before a line end only */
}

/* Blanks, and line ends where those do not matter. */
static void skip(struct form *form, int lines)
{
    while (character(form, form->at) == ' ' || (lines && form->at < form->text->size && line_ends(form)))
        form->at++;
}

static int is_letter(char one)
{
    return digit_of(one) < 10u || (lower(one) >= 'a' && lower(one) <= 'z') || one == '_';
}

static int is_word(const struct piece *piece, const char *word)
{
    return piece->size == strlen(word) && memcmp(piece->from, word, piece->size) == 0;
}

static size_t decimals(const struct piece *piece, size_t from)
{
    size_t count = 0u;
    while (from + count < piece->size && digit_of(piece->from[from + count]) < 10u)
        count++;
    return count;
}

static int is_float(const struct piece *piece)
{
    size_t i = piece->from[0] == '-' || piece->from[0] == '+', digits = decimals(piece, i), power;
    i += digits;
    if (i < piece->size && piece->from[i] == '.') {
        const size_t part = decimals(piece, i + 1u);
        i += part + 1u;
        digits += part;
    }
    if (digits == 0u)
        return 0;
    if (i < piece->size && lower(piece->from[i]) == 'e') {
        i += 1u + (i + 1u < piece->size && (piece->from[i + 1u] == '-' || piece->from[i + 1u] == '+'));
        power = decimals(piece, i);
        i += power;
        if (power == 0u || power > 3u)
            return 0;
    }
    return i == piece->size;
}

static int is_integer(const struct piece *piece)
{
    const size_t sign = piece->from[0] == '-' || piece->from[0] == '+';
    if (piece->size > 2u && piece->size <= 42u && piece->from[0] == '0' && piece->from[1] == 'x')
        return all_digits(piece->from + 2, piece->size - 2u, 16u, 0);
    return piece->size - sign <= 40u && all_digits(piece->from + sign, piece->size - sign, 10u, 0);
}

/* What a piece without quotes is: as in YAML 1.2, so that `no` is a word and 010 is ten. */
static int classify(struct form *form, struct piece *piece)
{
    static const char *const words[] = {"~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"};
    const size_t sign = piece->size > 0u && (piece->from[0] == '-' || piece->from[0] == '+');
    size_t i;
    piece->kind = IS_STRING;
    if (piece->size == 0u)
        piece->kind = IS_NULL;
    for (i = 0u; i < sizeof(words) / sizeof(words[0]); i++)
        if (is_word(piece, words[i]))
            piece->kind = i < 4u ? IS_NULL : IS_BOOL;
    if (piece->size == 0u || piece->kind != IS_STRING)
        return 1;
    if (piece->size > 2u && piece->from[0] == '0' && piece->from[1] == 'o')
        return refuse(form, piece->place, "octal numbers are not read");
    if (is_integer(piece)) {
        piece->kind = IS_INTEGER;
        return 1;
    }
    for (i = sign; i < piece->size && is_letter(piece->from[i]) && piece->from[i] != '_';)
        i++;
    if (i == piece->size && i - sign > 40u && digit_of(piece->from[sign]) < 10u)
        return refuse(form, piece->place, "a number of more than 40 digits is not read");
    if (is_float(piece))
        piece->kind = IS_FLOAT;
    return 1;
}

/* A text in quotes, without any way to write others in it. */
static int read_quoted(struct form *form, struct piece *piece)
{
    const char quote = character(form, form->at);
    piece->place = form->at++;
    piece->from = form->text->at + form->at;
    piece->kind = IS_STRING;
    for (piece->size = 0u; character(form, form->at) != quote; form->at++, piece->size++)
        if (line_ends(form) || character(form, form->at) == '\\' || character(form, form->at) == '\t')
            return refuse(form, form->at, "a text in quotes ends on its line, and has no escapes in it");
    form->at++;
    if (quote == '\'' && character(form, form->at) == quote)
        return refuse(form, form->at, "a text in quotes ends on its line, and has no escapes in it");
    return 1;
}

/* A number, a word, or what is in quotes. */
static int read_scalar(struct form *form, struct piece *piece)
{
    const char first = character(form, form->at);
    size_t size = 0u;
    if (first == '"' || first == '\'')
        return read_quoted(form, piece);
    piece->place = form->at;
    piece->from = form->text->at + form->at;
    for (; !line_ends(form) && strchr("_.+-~", character(form, form->at)) != NULL; form->at++)
        size++;
    while (!line_ends(form)
           && (is_letter(character(form, form->at)) || strchr(".+-", character(form, form->at)) != NULL)) {
        form->at++;
        size++;
    }
    piece->size = size;
    if (size == 0u || (first == '-' && (size == 1u || digit_of(piece->from[1]) > 9u)) || (first == '~' && size > 1u))
        return refuse(form, piece->place, "a value is a number, a word, or stands in quotes");
    return classify(form, piece);
}

/* A further entry; `nodes`: how many values YAML counts for it. */
static struct entry *add_entry(struct form *form, size_t parent, unsigned nodes, size_t place)
{
    struct entry *entry;
    form->nodes += nodes;
    if (form->nodes > MAX_NODES) {
        refuse(form, place, "it holds too many values");
        return NULL;
    }
    if (form->count == form->room) {
        struct entry *const more = (struct entry *)memory_of((form->room * 2u + 256u) * sizeof(*more));
        if (form->count != 0u)
            memcpy(more, form->entries, form->count * sizeof(*more));
        free(form->entries);
        form->entries = more;
        form->room = form->room * 2u + 256u;
    }
    entry = &form->entries[form->count++];
    memset(entry, 0, sizeof(*entry));
    entry->parent = parent;
    entry->end = form->count;
    return entry;
}

/* Numbers and texts in brackets, on one line where `lines` is 0. */
static int read_list(struct form *form, size_t owner, int lines)
{
    form->entries[owner].value.kind = IS_LIST;
    form->at++;
    for (;;) {
        struct piece item;
        skip(form, lines);
        if (character(form, form->at) == ']' && form->count == owner + 1u)
            break;
        if (!read_scalar(form, &item))
            return 0;
        if (add_entry(form, owner, 1u, item.place) == NULL)
            return 0;
        form->entries[form->count - 1u].value = item;
        skip(form, lines);
        if (character(form, form->at) == ']')
            break;
        if (character(form, form->at) != ',')
            return refuse(form, form->at, "between the items of a list stand commas");
        form->at++;
    }
    form->at++;
    form->entries[owner].end = form->count;
    return 1;
}
