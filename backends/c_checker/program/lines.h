/* --- Lines and objects of the form --- */

#define LONGEST_KEY 1000u

/* The key before a colon, in quotes or as it is. */
static int read_key(struct form *form, struct piece *key)
{
    const char first = character(form, form->at);
    if (first == '"' || first == '\'') {
        if (!read_quoted(form, key))
            return 0;
        skip(form, 0);
    } else {
        key->place = form->at;
        key->from = form->text->at + form->at;
        if (!is_letter(first) && !(first == '-' && digit_of(character(form, form->at + 1u)) < 10u))
            return refuse(form, form->at, "a line is `NAME: VALUE`");
        for (;; form->at++) {
            const char next = character(form, form->at + 1u);
            if (line_ends(form) || (character(form, form->at) == '#' && character(form, form->at - 1u) == ' ')
                || character(form, form->at) == '\t')
                return refuse(form, key->place, "a line is `NAME: VALUE`");
            if (character(form, form->at) == ':' && (next == ' ' || next == '\n' || next == '\r'))
                break;
        }
        for (key->size = form->at - key->place; key->from[key->size - 1u] == ' ';)
            key->size--;
        if (!classify(form, key))
            return 0;
        if (key->kind == IS_NULL || key->kind == IS_FLOAT)
            return refuse(form, key->place, "a key must be a name or a number");
    }
    if (key->size > LONGEST_KEY)
        return refuse(form, key->place, "this name is too long");
    return character(form, form->at) == ':' ? 1 : refuse(form, form->at, "behind a name stands a colon");
}

/* What stands behind `NAME:`. */
static int read_line_value(struct form *form, size_t owner)
{
    struct piece value;
    form->at++;
    if (!line_ends(form) && character(form, form->at) != ' ')
        return refuse(form, form->at, "behind the colon stands a blank");
    skip(form, 0);
    value.place = form->at;
    value.from = form->text->at + form->at;
    if (line_ends(form) || character(form, form->at) == '#') {
        value.size = 0u;
        value.kind = IS_NULL;
        form->entries[owner].value = value;
    } else if (character(form, form->at) == '[') {
        form->entries[owner].value.place = form->at;
        if (!read_list(form, owner, 0))
            return 0;
    } else if (character(form, form->at) == '{' && character(form, form->at + 1u) == '}') {
        value.kind = IS_MAPPING;
        value.size = 2u; /* it holds nothing, nor do lines below it belong to it */
        form->at += 2u;
        form->entries[owner].value = value;
    } else {
        if (!read_scalar(form, &value))
            return 0;
        form->entries[owner].value = value;
    }
    if (form->at > value.place && !line_ends(form) && character(form, form->at) != ' ')
        return refuse(form, form->at, "here the line ends");
    skip(form, 0);
    if (character(form, form->at) == '#' && character(form, form->at - 1u) == ' ')
        while (character(form, form->at) != '\n')
            form->at++;
    return line_ends(form) ? 1 : refuse(form, form->at, "here the line ends");
}

/* The entry that a line of that indentation stands in, by what the lines before it were indented. */
static int owner_of_line(struct form *form, size_t indent, size_t indents[2], size_t *section, size_t *owner)
{
    *owner = NO_PARENT;
    if (form->count == 0u) {
        indents[0] = indent;
        return 1;
    }
    if (indent == indents[0])
        return 1;
    if (indent > indents[0] && form->entries[*section].value.kind == IS_NULL
        && form->entries[*section].value.size == 0u) {
        form->entries[*section].value.kind = IS_MAPPING;
        form->entries[*section].value.place = form->at;
        indents[1] = indent;
    }
    *owner = *section;
    return form->entries[*section].value.kind == IS_MAPPING && form->entries[*section].value.size == 0u
                   && indent == indents[1]
               ? 1
               : refuse(form, form->at, "this line is indented otherwise than those before it");
}

/* Lines `NAME: VALUE`, with what belongs to them indented below. */
static int read_lines(struct form *form)
{
    size_t indents[2] = {0u, 0u}, section = 0u, owner;
    form->nodes = 1u;
    while (form->at < form->text->size) {
        const size_t start = form->at;
        struct piece key = {0, 0u, 0u, IS_STRING};
        skip(form, 0);
        if (character(form, form->at) == '#')
            while (character(form, form->at) != '\n')
                form->at++;
        if (line_ends(form)) {
            form->at += character(form, form->at) == '\r' ? 2u : 1u;
            continue;
        }
        if (!owner_of_line(form, form->at - start, indents, &section, &owner) || !read_key(form, &key))
            return 0;
        if (add_entry(form, owner, 2u, key.place) == NULL)
            return 0;
        form->entries[form->count - 1u].key = key;
        if (owner == NO_PARENT)
            section = form->count - 1u;
        if (!read_line_value(form, form->count - 1u))
            return 0;
        if (owner != NO_PARENT)
            form->entries[owner].end = form->count;
    }
    return 1;
}

/* An object of JSON, which may hold others but no deeper ones. */
static int read_object(struct form *form, size_t owner)
{
    size_t one;
    form->at++;
    for (skip(form, 1); character(form, form->at) != '}' || form->count != (owner == NO_PARENT ? 0u : owner + 1u);) {
        struct piece key;
        skip(form, 1);
        if (character(form, form->at) != '"')
            return refuse(form, form->at, "a name in quotes stands here");
        if (!read_quoted(form, &key))
            return 0;
        skip(form, 0);
        if (key.size > LONGEST_KEY || character(form, form->at) != ':')
            return refuse(form, form->at, "behind a name stands a colon");
        if (add_entry(form, owner, 2u, key.place) == NULL)
            return 0;
        one = form->count - 1u;
        form->entries[one].key = key;
        form->at++;
        skip(form, 1);
        form->entries[one].value.place = form->at;
        if (character(form, form->at) == '{') {
            form->entries[one].value.kind = IS_MAPPING;
            if (owner != NO_PARENT)
                return refuse(form, form->at, "objects are nested too deep");
            if (!read_object(form, one))
                return 0;
        } else if (character(form, form->at) == '[') {
            if (!read_list(form, one, 1))
                return 0;
        } else if (!read_scalar(form, &form->entries[one].value)) {
            return 0;
        }
        form->entries[one].end = form->count;
        skip(form, 1);
        if (character(form, form->at) == '}')
            break;
        if (character(form, form->at) != ',')
            return refuse(form, form->at, "between what an object holds stand commas");
        form->at++;
    }
    form->at++;
    return 1;
}

static const struct form *compared; /* what qsort orders */

/* By what they stand in, by key, and by place. */
static int by_key(const void *left, const void *right)
{
    const size_t a = *(const size_t *)left, b = *(const size_t *)right;
    const struct entry *const one = &compared->entries[a], *const other = &compared->entries[b];
    const size_t size = one->key.size < other->key.size ? one->key.size : other->key.size;
    const int keys = size != 0u ? memcmp(one->key.from, other->key.from, size) : 0;
    if (one->parent != other->parent)
        return one->parent < other->parent ? -1 : 1;
    if (keys != 0)
        return keys;
    if (one->key.size != other->key.size)
        return one->key.size < other->key.size ? -1 : 1;
    return a < b ? -1 : a > b;
}

static int same_key(const struct form *form, size_t a, size_t b)
{
    const struct piece *const one = &form->entries[a].key, *const other = &form->entries[b].key;
    return form->entries[a].parent == form->entries[b].parent && one->size == other->size && one->from != NULL
           && memcmp(one->from, other->from, one->size) == 0;
}

/* Refuse the first key that stands where it stood before. */
static int keys_differ(struct form *form)
{
    size_t *const order = (size_t *)memory_of(form->count * sizeof(*order));
    size_t i, first = NO_PARENT;
    for (i = 0u; i < form->count; i++)
        order[i] = i;
    compared = form;
    qsort(order, form->count, sizeof(*order), by_key);
    for (i = 1u; i < form->count; i++)
        if (same_key(form, order[i - 1u], order[i]) && order[i] < first)
            first = order[i];
    free(order);
    if (first == NO_PARENT)
        return 1;
    return refuse(form, form->entries[first].key.place, NULL);
}

/* Read a text; 0 where it is not in the form. Whoever calls this frees the entries. */
static int read_form(struct form *form)
{
    size_t start = 0u;
    int good;
    while (start < form->text->size && strchr(" \r\n", form->text->at[start]) != NULL)
        start++;
    if (start < form->text->size && form->text->at[start] == '{') {
        form->at = start;
        form->object = 1;
        form->nodes = 1u;
        good = read_object(form, NO_PARENT);
        if (good) {
            skip(form, 1);
            if (form->at < form->text->size)
                good = refuse(form, form->at, "here the text ends");
        }
    } else {
        good = read_lines(form);
    }
    return keys_differ(form) && good;
}
