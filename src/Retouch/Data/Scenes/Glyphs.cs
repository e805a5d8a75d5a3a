namespace Retouch.Data.Scenes;

/// <summary>Capital letters of 5×7 dots.</summary>
internal static class Glyphs
{
    public const int Count = 26;

    // Seven rows per letter from the top, five bits per row, most significant bit on the left.
    private static readonly byte[] Rows =
    [
        14,
        17,
        17,
        31,
        17,
        17,
        17, /* A */
        30,
        17,
        17,
        30,
        17,
        17,
        30, /* B */
        14,
        17,
        16,
        16,
        16,
        17,
        14, /* C */
        30,
        17,
        17,
        17,
        17,
        17,
        30, /* D */
        31,
        16,
        16,
        30,
        16,
        16,
        31, /* E */
        31,
        16,
        16,
        30,
        16,
        16,
        16, /* F */
        14,
        17,
        16,
        23,
        17,
        17,
        15, /* G */
        17,
        17,
        17,
        31,
        17,
        17,
        17, /* H */
        14,
        4,
        4,
        4,
        4,
        4,
        14, /* I */
        7,
        2,
        2,
        2,
        2,
        18,
        12, /* J */
        17,
        18,
        20,
        24,
        20,
        18,
        17, /* K */
        16,
        16,
        16,
        16,
        16,
        16,
        31, /* L */
        17,
        27,
        21,
        21,
        17,
        17,
        17, /* M */
        17,
        17,
        25,
        21,
        19,
        17,
        17, /* N */
        14,
        17,
        17,
        17,
        17,
        17,
        14, /* O */
        30,
        17,
        17,
        30,
        16,
        16,
        16, /* P */
        14,
        17,
        17,
        17,
        21,
        18,
        13, /* Q */
        30,
        17,
        17,
        30,
        20,
        18,
        17, /* R */
        15,
        16,
        16,
        14,
        1,
        1,
        30, /* S */
        31,
        4,
        4,
        4,
        4,
        4,
        4, /* T */
        17,
        17,
        17,
        17,
        17,
        17,
        14, /* U */
        17,
        17,
        17,
        17,
        17,
        10,
        4, /* V */
        17,
        17,
        17,
        21,
        21,
        21,
        10, /* W */
        17,
        17,
        10,
        4,
        10,
        17,
        17, /* X */
        17,
        17,
        17,
        10,
        4,
        4,
        4, /* Y */
        31,
        1,
        2,
        4,
        8,
        16,
        31, /* Z */
    ];

    /// <summary>Whether a letter, 0 to 25, covers a point of the unit square.</summary>
    public static bool Covers(int letter, double x, double y)
    {
        if (x < 0 || x >= 1 || y < 0 || y >= 1)
            return false;
        int column = (int)(x * 5),
            row = (int)(y * 7);
        return (Rows[letter * 7 + row] >> (4 - column) & 1) != 0;
    }
}
