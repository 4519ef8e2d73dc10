/* --- The program --- */

/* Print one rule that is violated, at the first field that it reads and the text has. */
static void put_violation(const struct text *text, const struct vmcsc_results *results, unsigned rule)
{
    char message[LONGEST + 4], where[LONGEST] = "";
    size_t place = NOWHERE;
    unsigned i;
    for (i = 0u; i < ways[rule].fields_count && place == NOWHERE; i++)
        place = taken.places[fields_named[ways[rule].fields + i]];
    for (i = 0u; i < VMCSC_EACH; i++)
        if (vmcsc_each[i] == rule && results->element[i] != 0u)
            sprintf(where, " (element %" PRIu32 " of %s)", results->element[i], ways[rule].area);
    put_head(text, place, 0, ways[rule].code);
    cut(message, snprintf(message, LONGEST + 1u, "%s%s: %s", ways[rule].id, where, ways[rule].condition));
    puts(message);
    violations++;
}

static void put_counts(const struct vmcsc_results *results)
{
    unsigned counts[4] = {0u, 0u, 0u, 0u}, rule;
    for (rule = 0u; rule < VMCSC_RULES; rule++)
        counts[vmcsc_status_of(results, rule)]++;
    printf("%u rule%s: %u passed, %u violated, %u not applicable, %u undetermined\n", VMCSC_RULES,
           VMCSC_RULES == 1u ? "" : "s", counts[VMCSC_PASSED], counts[VMCSC_VIOLATED], counts[VMCSC_NOT_APPLICABLE],
           counts[VMCSC_UNDETERMINED]);
}

static void judge(const struct text *text)
{
    static struct vmcsc_answers answers;
    static struct vmcsc_results results;
    struct vmcsc_verdict verdict;
    struct vmcsc_check check;
    unsigned rule;
    vmcsc_ask(&taken.cpu, &taken.cpu_known, &answers);
    verdict = vmcsc_check_state(&taken.state, &answers, &results);
    memset(&check, 0, sizeof(check));
    check.state = &taken.state;
    check.cpu = &answers;
    check.results = &results;
    vmcsc_activate(&check);
    put_visible(text->name);
    if (text->first_line != 1u)
        printf(":%lu", text->first_line);
    fputs(": ", stdout);
    put_verdict(&check, &verdict);
    for (rule = 0u; rule < VMCSC_RULES; rule++)
        if (vmcsc_status_of(&results, rule) == VMCSC_VIOLATED)
            put_violation(text, &results, rule);
    put_counts(&results);
}

/* The sections that a text may have, in the order in which they are read. */
enum section { FIELDS_OF, MEMORY_OF, PROCESSOR_OF, CPU_OF, SECTIONS };

static const char *const section_names[SECTIONS] = {"fields", "memory", "processor", "cpu"};

static unsigned section_of(const struct entry *entry)
{
    unsigned section = 0u;
    while (section < SECTIONS && !is_word(&entry->key, section_names[section]))
        section++;
    return section;
}

static int has_sections(const struct form *form)
{
    size_t i;
    for (i = 0u; i < form->count; i = form->entries[i].end)
        if (section_of(&form->entries[i]) != SECTIONS)
            return 1;
    return 0;
}

/* Where each section that holds something stands, else NO_PARENT. */
static void find_sections(const struct form *form, size_t places[SECTIONS])
{
    unsigned section;
    size_t i;
    for (section = 0u; section < SECTIONS; section++)
        places[section] = NO_PARENT;
    for (i = 0u; i < form->count; i = form->entries[i].end) {
        const struct entry *const entry = &form->entries[i];
        section = section_of(entry);
        if (section == SECTIONS)
            SAY(CODE_UNKNOWN_NAME, entry->key.place,
                "there is no section `%s`; there are `fields`, `memory`, `processor`, `cpu`", shown_key(&entry->key));
        else if (entry->value.kind == IS_MAPPING)
            places[section] = i;
        else if (entry->value.kind != IS_NULL)
            SAY(CODE_BAD_VALUE, entry->value.place, "the section `%s` is a mapping of names to values",
                section_names[section]);
        if (section == MEMORY_OF) /* then memory is known to hold nothing else */
            taken.state.memory = read_memory;
    }
}

static void take_section(const struct form *form, unsigned section, size_t first, size_t end)
{
    uint8_t given[STATES] = {0};
    size_t i, next;
    for (i = first; i < end; i = next) {
        next = form->entries[i].end;
        if (section == FIELDS_OF)
            take_field(&form->entries[i]);
        else if (section == PROCESSOR_OF)
            take_processor(&form->entries[i], given);
        else
            take_cpu(&form->entries[i]);
    }
}

/* The sections of a text, or all of it as fields. */
static void take_form(const struct form *form)
{
    size_t places[SECTIONS];
    unsigned section;
    if (!has_sections(form)) {
        take_section(form, FIELDS_OF, 0u, form->count);
    } else {
        find_sections(form, places);
        for (section = 0u; section < SECTIONS; section++) {
            if (places[section] == NO_PARENT)
                continue;
            if (section == MEMORY_OF)
                take_memory(form, places[section]);
            else
                take_section(form, section, places[section] + 1u, form->entries[places[section]].end);
        }
    }
    join_halves();
}

/* Whether a text holds what would show a reader something else than it says, or what this program does not read. */
static int deceives(const struct text *text)
{
    const char *const name = shown_name(text->name);
    size_t i;
    for (i = 0u; i < text->size; i++) {
        const unsigned char one = (unsigned char)text->at[i];
        if (one == '\n' || one == '\t' || (one == '\r' && i + 1u < text->size && text->at[i + 1u] == '\n'))
            continue;
        if (one == '\r')
            SAY_UNREADABLE(i, "%s cannot be read: it holds a carriage return that ends no line, so that a terminal shows"
                              " one text over another", name);
        else if (one < 0x20u || one == 0x7fu)
            SAY_UNREADABLE(i, "%s cannot be read: it holds the control character U+%04X", name, one);
        else if (one > 0x7fu)
            SAY_UNREADABLE(i, "%s cannot be read: it holds more than ASCII", name);
        else
            continue;
        return failed(text);
    }
    return 0;
}

/* Judge one text, or say why that cannot be done. */
static void take_text(const struct text *text)
{
    struct form form;
    unsigned i;
    int read;
    memset(&form, 0, sizeof(form));
    memset(&taken, 0, sizeof(taken));
    for (i = 0u; i < FIELDS; i++)
        whole.place[i] = high.place[i] = NOWHERE;
    form.text = text;
    texts++;
    read = read_form(&form);
    if (!read && form.wrong == NULL)
        say_twice(&form);
    else if (!read)
        SAY_UNREADABLE(form.wrong_place, "%s cannot be read: %s", text->name, form.wrong);
    else if (form.count == 0u && !form.object)
        SAY(CODE_BAD_VALUE, 0u, "a VMCS is a mapping of fields to values");
    else
        take_form(&form);
    if (!failed(text))
        judge(text);
    drop_memory();
    free(form.entries);
}

/* All of a file up to the limit, and one character more where there is more. */
static size_t read_all(FILE *file, char *into)
{
    return fread(into, 1u, MAX_BYTES + 1u, file);
}

static int begins_and_ends(const char *line, size_t size)
{
    while (size > 0u && strchr(" \r\n", line[size - 1u]) != NULL)
        size--;
    while (size > 0u && *line == ' ')
        line++, size--;
    return size == 0u ? -1 : line[0] == '{' && line[size - 1u] == '}';
}

static size_t line_size(const char *at, size_t left)
{
    const char *const end = (const char *)memchr(at, '\n', left);
    return end == NULL ? left : (size_t)(end - at) + 1u;
}

/* Whether a text is several objects, one a line. */
static int is_jsonl(const char *at, size_t size)
{
    size_t line, lines = 0u;
    for (; size > 0u; at += line, size -= line) {
        line = line_size(at, size);
        switch (begins_and_ends(at, line)) {
        case 0:
            return 0;
        case 1:
            lines++;
        }
    }
    return lines > 1u;
}

static void nothing_read(const char *name, const char *why)
{
    struct text none = {"", "", 0u, 1u};
    SAY_UNREADABLE(NOWHERE, "%s cannot be read: %s", name, why);
    failed(&none);
}

static const char *const too_large = "it is larger than " MAX_BYTES_TEXT " bytes";

/* A text that was read whole, without a byte-order mark; 0 where it is not to be read. */
static int is_readable(struct text *text, size_t size)
{
    if (size > MAX_BYTES) {
        nothing_read(shown_name(text->name), too_large);
        return 0;
    }
    text->size = size;
    if (size >= 3u && memcmp(text->at, "\xef\xbb\xbf", 3u) == 0) {
        text->at += 3;
        text->size -= 3u;
    }
    return !deceives(text);
}

/* The lines of a file, each an object. */
static void take_lines(FILE *file, const char *name, char *buffer)
{
    struct text text = {name, buffer, 0u, 0u};
    int one = 0;
    while (one != EOF) {
        size_t size = 0u;
        text.at = buffer;
        while (size <= MAX_BYTES && (one = getc(file)) != EOF) {
            buffer[size++] = (char)one;
            if (one == '\n')
                break;
        }
        text.first_line++;
        if (!is_readable(&text, size))
            return;
        if (begins_and_ends(text.at, text.size) != -1)
            take_text(&text);
    }
}

static int ends_with(const char *name, const char *end)
{
    return strlen(name) > strlen(end) && strcmp(name + strlen(name) - strlen(end), end) == 0;
}

static void take_standard_input(char *buffer)
{
    struct text text = {"<stdin>", buffer, 0u, 1u}, all;
    if (!is_readable(&text, read_all(stdin, buffer)))
        return;
    if (!is_jsonl(text.at, text.size)) {
        take_text(&text);
        return;
    }
    for (all = text; all.size > 0u; all.at += text.size, all.size -= text.size, text.first_line++) {
        text.at = all.at;
        text.size = line_size(all.at, all.size);
        if (begins_and_ends(text.at, text.size) != -1)
            take_text(&text);
    }
}

static void take_file(const char *name, char *buffer)
{
    struct text text = {name, buffer, 0u, 1u};
    FILE *file;
    size_t size;
    if (strcmp(name, "-") == 0) {
        take_standard_input(buffer);
        return;
    }
    file = fopen(name, "rb");
    if (file == NULL) {
        nothing_read(name, errno == ENOENT ? "there is no such file" : strerror(errno));
        return;
    }
    if (ends_with(name, ".jsonl") || ends_with(name, ".ndjson")) {
        take_lines(file, name, buffer);
    } else {
        size = read_all(file, buffer);
        if (ferror(file))
            nothing_read(name, "it is not a regular file");
        else if (is_readable(&text, size))
            take_text(&text);
    }
    fclose(file);
}

static void put_counted(unsigned long number, const char *what, const char *before)
{
    if (number != 0u)
        fprintf(stderr, "%s%lu %s%s", before, number, what, number == 1u ? "" : "s");
}

int main(int argc, char **argv)
{
    char *buffer;
    int i;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fprintf(argc < 2 ? stderr : stdout, "%s", USAGE);
        return argc < 2 ? UNUSABLE : 0;
    }
    buffer = (char *)memory_of(MAX_BYTES + 1u);
    for (i = 1; i < argc; i++)
        take_file(argv[i], buffer);
    free(buffer);
    fprintf(stderr, "%lu state%s, ", texts, texts == 1u ? "" : "s");
    put_counted(errors_read + violations, "error", "");
    put_counted(notes_read, "note", errors_read + violations != 0u ? ", " : "");
    fprintf(stderr, "%s\n", errors_read + notes_read + violations == 0u ? "no findings" : "");
    if (violations != 0u && exit_code == 0)
        exit_code = 1;
    if (fflush(stdout) != 0 || ferror(stdout))
        return UNUSABLE;
    return exit_code;
}
