/* Encoding of 8-bit RGB to memory. */
#include "shared.h"

typedef struct {
    const uint8_t *rgb;
    int32_t width, height, format, quality;
    uint8_t **encoded;
    int64_t *length;
} request;

static int32_t write_picture(void *arguments, char *reason, int32_t capacity)
{
    const request *asked = arguments;
    VipsImage *plain = vips_image_new_from_memory(asked->rgb, (size_t)asked->width * (size_t)asked->height * 3, asked->width,
                                                  asked->height, 3, VIPS_FORMAT_UCHAR);
    if (plain == NULL)
        return refuse_in_vips_words(RETOUCH_IMAGES_FAILED, "libvips cannot read the pixels", reason, capacity);
    VipsImage *image = NULL;
    void *encoded = NULL;
    size_t length = 0;
    int result = vips_copy(plain, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
    if (result == 0) {
        switch (asked->format) {
        case RETOUCH_IMAGES_JPEG:
            result = vips_jpegsave_buffer(image, &encoded, &length, "Q", asked->quality, "optimize_coding", TRUE, "strip", TRUE, NULL);
            break;
        case RETOUCH_IMAGES_PNG:
            result = vips_pngsave_buffer(image, &encoded, &length, "compression", 6, "strip", TRUE, NULL);
            break;
        default:
            result = vips_webpsave_buffer(image, &encoded, &length, "Q", asked->quality, "lossless", asked->quality == 100, "strip",
                                          TRUE, NULL);
            break;
        }
    }
    g_clear_object(&image);
    g_object_unref(plain);
    if (result != 0)
        return refuse_in_vips_words(RETOUCH_IMAGES_FAILED, "libvips cannot encode the picture", reason, capacity);
    *asked->encoded = encoded;
    *asked->length = (int64_t)length;
    return RETOUCH_IMAGES_OK;
}

int32_t retouch_images_encode(const uint8_t *rgb, int32_t width, int32_t height, int32_t format, int32_t quality, uint8_t **encoded,
                              int64_t *length, char *reason, int32_t capacity)
{
    if (rgb == NULL || encoded == NULL || length == NULL || width < 1 || height < 1 || quality < 1 || quality > 100
        || (format != RETOUCH_IMAGES_JPEG && format != RETOUCH_IMAGES_PNG && format != RETOUCH_IMAGES_WEBP))
        return refuse(RETOUCH_IMAGES_FAILED, reason, capacity, "invalid arguments");
    *encoded = NULL;
    *length = 0;
    request asked = { rgb, width, height, format, quality, encoded, length };
    return with_own_words(write_picture, &asked, reason, capacity);
}
