/* --- Texts, and what is wrong with them --- */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNUSABLE 2 /* the exit code where a text cannot be read */
#define NOWHERE  ((size_t)-1)
#define LONGEST  1000 /* characters of a sentence that are shown */

/* A text by the name that findings give it; its first line has another number where it is a part of a longer one. */
struct text {
    const char *name, *at;
    size_t size;
    unsigned long first_line;
};

struct finding {
    const char *code;
    char *message;
    size_t place; /* an offset into the text, or NOWHERE */
    unsigned order;
    int note, exit_code;
};

/* Findings of one text, and how many more there were. */
static struct finding findings[MAX_FINDINGS];
static unsigned found, suppressed, suppressed_errors;

/* What is summed up at the end; of findings about texts no more than MAX_FINDINGS are counted. */
static unsigned long texts, errors_read, notes_read, violations;
static int exit_code;

static void *memory_of(size_t size)
{
    void *const memory = malloc(size != 0u ? size : 1u);
    if (memory == NULL) {
        fputs("out of memory\n", stderr);
        exit(UNUSABLE);
    }
    return memory;
}

static void drop_note(void)
{
    unsigned i = found;
    while (i > 0u && !findings[i - 1u].note)
        i--;
    if (i == 0u) {
        suppressed_errors++;
        return;
    }
    free(findings[i - 1u].message);
    memmove(&findings[i - 1u], &findings[i], (found - i) * sizeof(findings[0]));
    found--;
}

/* A sentence that is longer than it is shown ends in dots. */
static void cut(char message[LONGEST + 4], int length)
{
    if (length > LONGEST)
        memcpy(message + LONGEST, "...", 4u);
}

/* Keep a finding, unless there are many. No error is lost among notes. */
static void say(const char *code, int note, int exit_with, size_t place, const char *format, ...)
{
    static unsigned order;
    char message[LONGEST + 4];
    struct finding *const one = &findings[found < MAX_FINDINGS ? found : MAX_FINDINGS - 1u];
    va_list values;
    if (found == MAX_FINDINGS) {
        suppressed++;
        if (!note && suppressed_errors == 0u)
            drop_note();
        else if (!note)
            suppressed_errors++;
        if (found == MAX_FINDINGS)
            return;
    }
    va_start(values, format);
    cut(message, vsnprintf(message, LONGEST + 1u, format, values));
    va_end(values);
    one->code = code;
    one->message = (char *)memory_of(strlen(message) + 1u);
    strcpy(one->message, message);
    one->place = place;
    one->order = order++;
    one->note = note;
    one->exit_code = exit_with;
    found++;
}

#define SAY(code, place, ...)        say(code, 0, 1, place, __VA_ARGS__)
#define SAY_UNREADABLE(place, ...)   say(CODE_UNREADABLE, 0, UNUSABLE, place, __VA_ARGS__)

/* A name as a terminal may show it. */
static void put_visible(const char *name)
{
    for (; *name != '\0'; name++) {
        const unsigned char one = (unsigned char)*name;
        if (one == '\t' || one == '\n' || one == '\r')
            printf("\\%c", one == '\t' ? 't' : one == '\n' ? 'n' : 'r');
        else if (one < 0x20u || one == 0x7fu)
            printf("\\x%02x", one);
        else
            putchar(one);
    }
}

/* `FILE:LINE:COLUMN: error[CODE]: `, or another name in place of the place. */
static void put_head(const struct text *text, size_t place, int note, const char *code)
{
    unsigned long line = text->first_line, column = 1u;
    size_t i;
    if (place == NOWHERE) {
        fputs("vmcsc", stdout);
    } else {
        for (i = 0u; i < place && i < text->size; i++) {
            column = text->at[i] == '\n' ? 1u : column + 1u;
            line += text->at[i] == '\n';
        }
        put_visible(text->name);
        printf(":%lu:%lu", line, column);
    }
    printf(": %s[%s]: ", note ? "note" : "error", code);
}

static int in_order(const void *left, const void *right)
{
    const struct finding *const a = (const struct finding *)left, *const b = (const struct finding *)right;
    int codes;
    if (a->place != b->place)
        return a->place + 1u < b->place + 1u ? -1 : 1; /* NOWHERE comes first */
    if (a->note != b->note)
        return a->note - b->note;
    codes = strcmp(a->code, b->code);
    return codes != 0 ? codes : a->order < b->order ? -1 : 1;
}

/* Print what is wrong with a text, count it, and say whether there was an error. */
static int failed(const struct text *text)
{
    unsigned i;
    int errors = suppressed_errors != 0u;
    for (i = 0u; i < found; i++) {
        const struct finding *const one = &findings[i];
        const int room = errors_read + notes_read < MAX_FINDINGS;
        errors |= !one->note;
        if (one->note && room)
            notes_read++;
        if (one->note || (!room && notes_read == 0u))
            continue;
        notes_read -= !room; /* as for one text: an error takes the place of a note */
        errors_read++;
        if (one->exit_code > exit_code)
            exit_code = one->exit_code;
    }
    qsort(findings, found, sizeof(findings[0]), in_order);
    for (i = 0u; i < found; i++) {
        put_head(text, findings[i].place, findings[i].note, findings[i].code);
        put_visible(findings[i].message);
        putchar('\n');
        free(findings[i].message);
    }
    if (suppressed != 0u)
        printf("vmcsc: %u more finding%s not shown\n", suppressed, suppressed == 1u ? " is" : "s are");
    found = suppressed = suppressed_errors = 0u;
    return errors;
}
