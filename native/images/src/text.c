/* Unicode normalisation. */
#include "shared.h"

#define MOST_BYTES ((int64_t)64 << 20)
#define MOST_MARKS 128

/* End of the next part that can be normalised separately: at a zero byte, which GLib treats as the end, or within a run of marks. */
static const char *end_of_piece(const char *at, const char *end)
{
    int marks = 0;
    for (; at < end && *at != '\0'; at = g_utf8_next_char(at)) {
        marks = g_unichar_combining_class(g_utf8_get_char(at)) == 0 ? 0 : marks + 1;
        if (marks > MOST_MARKS)
            break;
    }
    return at;
}

int32_t retouch_images_normalise(const char *text, int64_t length, int32_t form, char **result, int64_t *result_length, char *reason,
                                 int32_t capacity)
{
    if (text == NULL || length < 0 || result == NULL || result_length == NULL
        || (form != RETOUCH_IMAGES_NFC && form != RETOUCH_IMAGES_NFKC))
        return refuse(RETOUCH_IMAGES_FAILED, reason, capacity, "invalid arguments");
    *result = NULL;
    *result_length = 0;
    if (length > MOST_BYTES)
        return refuse(RETOUCH_IMAGES_TOO_LARGE, reason, capacity, "the text has more than %d MiB", (int)(MOST_BYTES >> 20));
    const char *end = text + length;
    const char *bad = text;
    /* Validation also stops at zero bytes. */
    for (const char *at = text; at < end && !g_utf8_validate(at, end - at, &bad); at = bad + 1) {
        if (*bad != '\0')
            return refuse(RETOUCH_IMAGES_UNREADABLE, reason, capacity, "byte %lld of the text is not UTF-8", (long long)(bad - text) + 1);
    }
    GString *normal = g_string_sized_new((gsize)length);
    for (const char *at = text; at < end;) {
        if (*at == '\0') {
            g_string_append_c(normal, *at++);
            continue;
        }
        const char *stop = end_of_piece(at, end);
        char *piece = g_utf8_normalize(at, stop - at, form == RETOUCH_IMAGES_NFC ? G_NORMALIZE_NFC : G_NORMALIZE_NFKC);
        g_string_append(normal, piece);
        g_free(piece);
        at = stop;
    }
    *result_length = (int64_t)normal->len;
    *result = g_string_free(normal, FALSE);
    return RETOUCH_IMAGES_OK;
}
