/* --- Names --- */

#define SHOWN 60u /* characters of a name that are shown */

/* A name for a sentence, cut where it is long; the text lies in one of a few buffers. */
static const char *shown(const char *from, size_t size, size_t most)
{
    static char buffers[2][LONGEST + 8];
    static unsigned turn;
    char *const buffer = buffers[turn++ % 2u];
    const size_t kept = size <= most ? size : most - 3u;
    memcpy(buffer, from, kept);
    strcpy(buffer + kept, size <= most ? "" : "...");
    return buffer;
}

static const char *shown_key(const struct piece *key)
{
    return shown(key->from, key->size, SHOWN);
}

/* How a sentence speaks of the file of that name. */
static const char *shown_name(const char *name)
{
    return strcmp(name, "<stdin>") == 0 ? "standard input" : name;
}

/* A key in quotes, as Python writes a text. */
static void say_twice(const struct form *form)
{
    const struct entry *entry = form->entries;
    char text[2u * LONGEST + 3];
    size_t i, length = 0u;
    char quote = '\'';
    while (entry->key.place != form->wrong_place || entry->key.from == NULL)
        entry++;
    if (memchr(entry->key.from, '\'', entry->key.size) != NULL && memchr(entry->key.from, '"', entry->key.size) == NULL)
        quote = '"';
    text[length++] = quote;
    for (i = 0u; i < entry->key.size; i++) {
        if (entry->key.from[i] == quote || entry->key.from[i] == '\\')
            text[length++] = '\\';
        text[length++] = entry->key.from[i];
    }
    text[length++] = quote;
    text[length] = '\0';
    SAY_UNREADABLE(form->wrong_place, "%s cannot be read: the key %s stands here twice", form->text->name, text);
}

/* The letters and digits of a name, all that look-up looks at; 0 where there are more than any name has. */
static int plain_name(const struct piece *name, const char *prefix, char plain[LONGEST_NAME + 1])
{
    const size_t skipped = name->size >= strlen(prefix) && memcmp(name->from, prefix, strlen(prefix)) == 0
                               ? strlen(prefix)
                               : 0u;
    size_t i, length = 0u;
    for (i = skipped; i < name->size; i++) {
        if (!is_letter(name->from[i]) || name->from[i] == '_')
            continue;
        if (length == LONGEST_NAME)
            return 0;
        plain[length++] = (char)lower(name->from[i]);
    }
    plain[length] = '\0';
    return 1;
}

static int by_name(const void *wanted, const void *entry)
{
    return strcmp((const char *)wanted, ((const struct named *)entry)->name);
}

static const struct named *find_name(const char *name, const struct named *table, size_t count)
{
    return (const struct named *)bsearch(name, table, count, sizeof(table[0]), by_name);
}

static int by_number(const void *wanted, const void *entry)
{
    const uint64_t number = *(const uint64_t *)wanted, other = ((const struct numbered *)entry)->number;
    return number < other ? -1 : number > other;
}

static const struct numbered *find_number(uint64_t number, const struct numbered *table, size_t count)
{
    return (const struct numbered *)bsearch(&number, table, count, sizeof(table[0]), by_number);
}
