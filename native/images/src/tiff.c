/* Meaning of a TIFF band after the colours, which libvips does not report (TIFF 6.0, section 18; BigTIFF has wider fields). */
#include "shared.h"

#define TAG_EXTRA_SAMPLES 338
#define TYPE_SHORT 3

typedef struct {
    const uint8_t *data;
    size_t length;
    bool little;
} bytes;

/* Reads a number of `size` bytes; false past the end of the file. */
static bool number(const bytes *file, uint64_t at, int size, uint64_t *value)
{
    if (at > file->length || (uint64_t)size > file->length - at)
        return false;
    *value = 0;
    for (int i = 0; i < size; i++)
        *value = *value << 8 | file->data[at + (uint64_t)(file->little ? size - 1 - i : i)];
    return true;
}

int32_t tiff_extra_sample(const uint8_t *data, size_t length)
{
    if (length < 8 || (data[0] != 'I' && data[0] != 'M') || data[1] != data[0])
        return -1;
    bytes file = { data, length, data[0] == 'I' };
    uint64_t version, directory, entries, tag, type, values, value;
    if (!number(&file, 2, 2, &version) || (version != 42 && version != 43))
        return -1;
    bool big = version == 43;
    int width = big ? 8 : 4;
    if (!number(&file, big ? 8 : 4, width, &directory) || !number(&file, directory, big ? 8 : 2, &entries))
        return -1;
    uint64_t at = directory + (big ? 8 : 2);
    uint64_t step = big ? 20 : 12;
    for (uint64_t entry = 0; entry < entries && entry < 4096; entry++, at += step) {
        if (!number(&file, at, 2, &tag) || !number(&file, at + 2, 2, &type) || !number(&file, at + 4, width, &values))
            return -1;
        if (tag != TAG_EXTRA_SAMPLES)
            continue;
        /* Values that do not fit into the entry are stored at an offset. */
        uint64_t place = at + 4 + (uint64_t)width;
        if (type != TYPE_SHORT || values == 0 || (values > (uint64_t)width / 2 && !number(&file, place, width, &place)))
            return -1;
        return number(&file, place, 2, &value) ? (int32_t)value : -1;
    }
    return -1;
}
