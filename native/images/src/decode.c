/* Probing and decoding. */
#include <string.h>

#include "shared.h"

typedef struct {
    const uint8_t *data;
    size_t length;
    int64_t max_pixels;
    int32_t min_side;
    bool use_profile;
    uint8_t **pixels; /* NULL to read the header only */
    retouch_images_info *info;
} request;

static int32_t format_of(const uint8_t *data, size_t length)
{
    const char *loader = vips_foreign_find_load_buffer(data, length);
    if (loader == NULL)
        return 0;
    if (g_str_has_prefix(loader, "VipsForeignLoadJpeg"))
        return RETOUCH_IMAGES_JPEG;
    if (g_str_has_prefix(loader, "VipsForeignLoadPng"))
        return RETOUCH_IMAGES_PNG;
    if (g_str_has_prefix(loader, "VipsForeignLoadWebp"))
        return RETOUCH_IMAGES_WEBP;
    if (g_str_has_prefix(loader, "VipsForeignLoadTiff"))
        return RETOUCH_IMAGES_TIFF;
    if (g_str_has_prefix(loader, "VipsForeignLoadNsgif"))
        return RETOUCH_IMAGES_GIF;
    if (g_str_has_prefix(loader, "VipsForeignLoadHeif"))
        return RETOUCH_IMAGES_HEIF;
    return 0;
}

int32_t retouch_images_reads(int32_t format)
{
    switch (format) {
    case RETOUCH_IMAGES_JPEG:
        return vips_type_find("VipsOperation", "jpegload_buffer") != 0;
    case RETOUCH_IMAGES_PNG:
        return vips_type_find("VipsOperation", "pngload_buffer") != 0;
    case RETOUCH_IMAGES_WEBP:
        return vips_type_find("VipsOperation", "webpload_buffer") != 0;
    case RETOUCH_IMAGES_TIFF:
        return vips_type_find("VipsOperation", "tiffload_buffer") != 0;
    case RETOUCH_IMAGES_GIF:
        return vips_type_find("VipsOperation", "gifload_buffer") != 0;
    case RETOUCH_IMAGES_HEIF:
        return vips_type_find("VipsOperation", "heifload_buffer") != 0;
    default:
        return 0;
    }
}

static VipsImage *open_image(const request *asked, int32_t format, int32_t shrink)
{
    /* VIPS_FAIL_ON_ERROR fails on truncated and undecodable data, but not on harmless defects such as stray bytes between JPEG markers. */
    if (shrink > 1 && format == RETOUCH_IMAGES_JPEG)
        return vips_image_new_from_buffer(asked->data, asked->length, "", "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                          VIPS_FAIL_ON_ERROR, "shrink", shrink, NULL);
    if (shrink > 1 && format == RETOUCH_IMAGES_WEBP)
        return vips_image_new_from_buffer(asked->data, asked->length, "", "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                          VIPS_FAIL_ON_ERROR, "scale", 1.0 / shrink, NULL);
    return vips_image_new_from_buffer(asked->data, asked->length, "", "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                      VIPS_FAIL_ON_ERROR, NULL);
}

/* Largest factor with which the shorter side keeps at least min_side pixels. */
static int32_t choose_shrink(int32_t format, int width, int height, int32_t min_side)
{
    if (min_side <= 0 || (format != RETOUCH_IMAGES_JPEG && format != RETOUCH_IMAGES_WEBP))
        return 1;
    int shorter = width < height ? width : height;
    for (int32_t factor = 8; factor > 1; factor /= 2)
        if (shorter / factor >= min_side)
            return factor;
    return 1;
}

static void describe(VipsImage *image, int32_t format, retouch_images_info *info)
{
    int orientation = vips_image_get_orientation(image);
    bool swapped = vips_image_get_orientation_swap(image);
    info->format = format;
    info->full_width = info->width = swapped ? image->Ysize : image->Xsize;
    info->full_height = info->height = swapped ? image->Xsize : image->Ysize;
    info->orientation = orientation;
    info->shrink = 1;
    info->has_alpha = vips_image_hasalpha(image);
    info->has_profile = vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0;
    info->bits = (int32_t)(vips_format_sizeof(image->BandFmt) * 8);
}

/* Converts, decodes into memory (which detects corrupt data) and applies the EXIF rotation. */
static int32_t finish(VipsImage *image, const request *asked, char *reason, int32_t capacity)
{
    VipsImage *rgb = NULL, *memory = NULL, *upright = NULL;
    int orientation = vips_image_get_orientation(image);
    int32_t extra = asked->info->format == RETOUCH_IMAGES_TIFF ? tiff_extra_sample(asked->data, asked->length) : -1;
    int32_t status = check_bands(image, extra, reason, capacity);
    if (status == RETOUCH_IMAGES_OK)
        status = to_srgb(image, asked->use_profile, extra, &rgb, reason, capacity);
    if (status != RETOUCH_IMAGES_OK)
        return status;

    VipsImage *current = rgb;
    if (orientation > 1) {
        /* Decoders return rows from the top; rotation needs all of them. */
        memory = vips_image_copy_memory(rgb);
        if (memory == NULL) {
            status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its pixels cannot be decoded", reason, capacity);
            goto done;
        }
        vips_image_set_int(memory, VIPS_META_ORIENTATION, orientation);
        if (vips_autorot(memory, &upright, NULL) != 0) {
            status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its EXIF rotation cannot be applied", reason, capacity);
            goto done;
        }
        current = upright;
    }
    size_t length;
    uint8_t *pixels = vips_image_write_to_memory(current, &length);
    if (pixels == NULL) {
        status = refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its pixels cannot be decoded", reason, capacity);
        goto done;
    }
    asked->info->width = current->Xsize;
    asked->info->height = current->Ysize;
    *asked->pixels = pixels;

done:
    g_clear_object(&upright);
    g_clear_object(&memory);
    g_clear_object(&rgb);
    return status;
}

static int32_t read_picture(void *arguments, char *reason, int32_t capacity)
{
    const request *asked = arguments;
    int32_t format = format_of(asked->data, asked->length);
    if (format == 0)
        return refuse(RETOUCH_IMAGES_UNSUPPORTED, reason, capacity,
                      "its content is not JPEG, PNG, WebP, TIFF, GIF, AVIF or HEIC, or this libvips has no loader for it");
    VipsImage *image = open_image(asked, format, 1);
    if (image == NULL)
        return refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its header is corrupt", reason, capacity);

    describe(image, format, asked->info);
    int32_t status = RETOUCH_IMAGES_OK;
    if ((int64_t)image->Xsize * image->Ysize > asked->max_pixels) {
        status = refuse(RETOUCH_IMAGES_TOO_LARGE, reason, capacity,
                        "its header has a size of %d x %d pixels, more than the %lld allowed", image->Xsize, image->Ysize,
                        (long long)asked->max_pixels);
    } else if (asked->pixels != NULL) {
        int32_t shrink = choose_shrink(format, image->Xsize, image->Ysize, asked->min_side);
        if (shrink > 1) {
            g_object_unref(image);
            image = open_image(asked, format, shrink);
            asked->info->shrink = shrink;
        }
        status = image == NULL
            ? refuse_in_vips_words(RETOUCH_IMAGES_UNREADABLE, "its header is corrupt", reason, capacity)
            : finish(image, asked, reason, capacity);
    }
    g_clear_object(&image);
    return status;
}

static int32_t check(const request *asked, char *reason, int32_t capacity)
{
    if (asked->data == NULL || asked->info == NULL || asked->max_pixels < 1)
        return refuse(RETOUCH_IMAGES_FAILED, reason, capacity, "invalid arguments");
    memset(asked->info, 0, sizeof *asked->info);
    return RETOUCH_IMAGES_OK;
}

int32_t retouch_images_probe(const uint8_t *data, int64_t length, int64_t max_pixels, retouch_images_info *info, char *reason,
                             int32_t capacity)
{
    request asked = { data, (size_t)length, max_pixels, 0, false, NULL, info };
    int32_t status = check(&asked, reason, capacity);
    return status != RETOUCH_IMAGES_OK ? status : with_own_words(read_picture, &asked, reason, capacity);
}

int32_t retouch_images_decode(const uint8_t *data, int64_t length, int64_t max_pixels, int32_t min_side, int32_t use_profile,
                              uint8_t **pixels, retouch_images_info *info, char *reason, int32_t capacity)
{
    request asked = { data, (size_t)length, max_pixels, min_side, use_profile != 0, pixels, info };
    int32_t status = check(&asked, reason, capacity);
    if (status == RETOUCH_IMAGES_OK && pixels == NULL)
        status = refuse(RETOUCH_IMAGES_FAILED, reason, capacity, "invalid arguments");
    if (status != RETOUCH_IMAGES_OK)
        return status;
    *pixels = NULL;
    return with_own_words(read_picture, &asked, reason, capacity);
}
