/* Conversion of decoder output to 8-bit sRGB with three bands. */
#include <string.h>

#include "shared.h"

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ICC.1:2010: header of 128 bytes with the colour space at 16, then a tag count and 12 bytes per tag (signature, offset, size). */
bool is_srgb_profile(const uint8_t *profile, size_t length)
{
    if (length < 132 || memcmp(profile + 16, "RGB ", 4) != 0)
        return false;
    uint32_t tags = big_endian(profile + 128);
    for (uint32_t tag = 0; tag < tags && 132 + 12 * ((size_t)tag + 1) <= length; tag++) {
        const uint8_t *entry = profile + 132 + 12 * (size_t)tag;
        if (memcmp(entry, "desc", 4) != 0)
            continue;
        size_t offset = big_endian(entry + 4), size = big_endian(entry + 8);
        if (offset > length || size > length - offset)
            return false;
        /* Version 2 stores the description in ASCII, version 4 in UTF-16. */
        for (size_t i = offset; i + 4 <= offset + size; i++) {
            if (memcmp(profile + i, "sRGB", 4) == 0)
                return true;
            if (i + 8 <= offset + size && memcmp(profile + i, "\0s\0R\0G\0B", 8) == 0)
                return true;
        }
    }
    return false;
}

/* CMYK without a profile, as converted by PIL: R = (255 - C)(255 - K) / 255, rounded. */
static int naive_cmyk(VipsImage *in, VipsImage **out)
{
    int width = in->Xsize, height = in->Ysize, bands = in->Bands;
    size_t length;
    uint8_t *ink = vips_image_write_to_memory(in, &length);
    if (ink == NULL)
        return -1;
    size_t count = (size_t)width * (size_t)height;
    int kept = bands - 1;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = ink + i * (size_t)bands;
        uint8_t *to = ink + i * (size_t)kept;
        unsigned light = 255u - from[3];
        for (int c = 0; c < 3; c++)
            to[c] = (uint8_t)(((255u - from[c]) * light + 127u) / 255u);
        for (int c = 4; c < bands; c++)
            to[c - 1] = from[c];
    }
    VipsImage *wrapped = vips_image_new_from_memory_copy(ink, count * (size_t)kept, width, height, kept, VIPS_FORMAT_UCHAR);
    g_free(ink);
    if (wrapped == NULL)
        return -1;
    int result = vips_copy(wrapped, out, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
    g_object_unref(wrapped);
    return result;
}

/* Converts to 8-bit sRGB, possibly with alpha. */
static int convert(VipsImage *in, bool use_profile, VipsImage **out)
{
    const void *profile = NULL;
    size_t length = 0;
    VipsInterpretation kind = vips_image_guess_interpretation(in);
    bool cmyk = kind == VIPS_INTERPRETATION_CMYK;
    bool embedded = use_profile && vips_image_get_typeof(in, VIPS_META_ICC_NAME) != 0
        && vips_image_get_blob(in, VIPS_META_ICC_NAME, &profile, &length) == 0;

    /* A profile that names sRGB is not applied: a conversion through Lab would only cause rounding errors of a level. */
    if (embedded && !is_srgb_profile(profile, length)
        && vips_icc_transform(in, out, "srgb", "embedded", TRUE, "depth", 8, "intent", VIPS_INTENT_PERCEPTUAL,
                              "black_point_compensation", TRUE, NULL) == 0)
        return 0;
    /* A profile that does not match its picture is ignored, as in viewers. */
    if (cmyk && in->BandFmt == VIPS_FORMAT_UCHAR && in->Bands >= 4)
        return naive_cmyk(in, out);
    return vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, "source_space", kind, NULL);
}

static int colour_bands(VipsImage *in)
{
    switch (vips_image_guess_interpretation(in)) {
    case VIPS_INTERPRETATION_B_W:
    case VIPS_INTERPRETATION_GREY16:
        return 1;
    case VIPS_INTERPRETATION_CMYK:
        return 4;
    default:
        return 3;
    }
}

int32_t check_bands(VipsImage *in, int32_t extra, char *reason, int32_t capacity)
{
    VipsInterpretation kind = vips_image_guess_interpretation(in);
    bool levels = in->BandFmt == VIPS_FORMAT_UCHAR || in->BandFmt == VIPS_FORMAT_USHORT;
    /* Lab samples have ranges of their own. */
    if (!levels && kind != VIPS_INTERPRETATION_LAB && kind != VIPS_INTERPRETATION_LABS)
        return refuse(RETOUCH_IMAGES_UNREADABLE, reason, capacity,
                      "its samples are %s, whose white level is unknown; save it with 8 or 16 bits per sample",
                      vips_band_format_isfloat(in->BandFmt) ? "floating-point numbers" : "signed or 32-bit integers");
    int colours = colour_bands(in);
    if (in->Bands > colours + 1)
        return refuse(RETOUCH_IMAGES_UNREADABLE, reason, capacity,
                      "it has %d bands, which are more than %s and alpha; save only the bands of the picture", in->Bands,
                      colours == 1 ? "gray" : colours == 3 ? "red, green, blue" : "cyan, magenta, yellow, black");
    if (in->Bands == colours + 1 && extra > 2)
        return refuse(RETOUCH_IMAGES_UNREADABLE, reason, capacity, "its last band has the unknown type %d", extra);
    return RETOUCH_IMAGES_OK;
}

/* Drops a last band that is not alpha. Premultiplied colours have already been divided by alpha in libvips. */
static int settle_extra(VipsImage *in, int32_t extra, VipsImage **out)
{
    int colours = colour_bands(in);
    return extra == 0 && in->Bands > colours ? vips_extract_band(in, out, 0, "n", colours, NULL) : vips_copy(in, out, NULL);
}

int32_t to_srgb(VipsImage *in, bool use_profile, int32_t extra, VipsImage **out, char *reason, int32_t capacity)
{
    VipsImage *step[5] = { NULL };
    int32_t status = RETOUCH_IMAGES_OK;
    VipsImage *current;

    if (settle_extra(in, extra, &step[4]) != 0) {
        status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its last band cannot be extracted", reason, capacity);
        goto done;
    }
    in = step[4];
    if (convert(in, use_profile, &step[0]) != 0) {
        status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its colours cannot be converted to sRGB", reason, capacity);
        goto done;
    }
    current = step[0];
    if (current->BandFmt != VIPS_FORMAT_UCHAR) {
        if (vips_cast(current, &step[1], VIPS_FORMAT_UCHAR, NULL) != 0) {
            status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its samples cannot be converted to 8 bits", reason, capacity);
            goto done;
        }
        current = step[1];
    }
    if (vips_image_hasalpha(current)) {
        VipsArrayDouble *white = vips_array_double_newv(1, 255.0);
        int flattened = vips_flatten(current, &step[2], "background", white, NULL);
        vips_area_unref(VIPS_AREA(white));
        if (flattened != 0) {
            status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its alpha cannot be composited over white", reason, capacity);
            goto done;
        }
        current = step[2];
    }
    if (current->Bands > 3) {
        if (vips_extract_band(current, &step[3], 0, "n", 3, NULL) != 0) {
            status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its bands cannot be extracted", reason, capacity);
            goto done;
        }
        current = step[3];
    }
    if (current->Bands != 3) {
        status = refuse(RETOUCH_IMAGES_UNREADABLE, reason, capacity, "it has %d bands after conversion to sRGB", current->Bands);
        goto done;
    }
    g_object_ref(current);
    *out = current;

done:
    for (int i = 0; i < 5; i++)
        g_clear_object(&step[i]);
    return status;
}
