using System.Buffers.Binary;
using System.Numerics;
using Retouch.Core.Errors;

namespace Retouch.Training.Telemetry;

/// <summary>
/// Record framing of TFRecord files, used by TensorBoard event files: length (uint64, little endian), masked CRC-32C of these eight bytes,
/// payload, masked CRC-32C of the payload.
/// </summary>
public static class RecordFile
{
    private const uint MaskDelta = 0xa282ead8;

    /// <summary>CRC-32C (Castagnoli) rotated right by 15 bits plus a constant, as the format requires.</summary>
    public static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        var crc = Crc32C(bytes);
        return unchecked(BitOperations.RotateRight(crc, 15) + MaskDelta);
    }

    /// <summary>Writes one framed record.</summary>
    public static void Write(Stream stream, ReadOnlySpan<byte> payload)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var framed = new byte[16 + payload.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(framed, (ulong)payload.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(framed.AsSpan(8), MaskedCrc(framed.AsSpan(0, 8)));
        payload.CopyTo(framed.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(framed.AsSpan(12 + payload.Length), MaskedCrc(payload));
        stream.Write(framed);
    }

    /// <summary>Payloads of a file; a truncated last record is skipped.</summary>
    /// <exception cref="InputException">A checksum is wrong.</exception>
    public static IReadOnlyList<byte[]> Read(string path)
    {
        var bytes = File.ReadAllBytes(path);
        List<byte[]> payloads = [];
        var at = 0;
        while (bytes.Length - at >= 16)
        {
            var head = bytes.AsSpan(at, 8);
            var length = BinaryPrimitives.ReadUInt64LittleEndian(head);
            Check(bytes.AsSpan(at + 8), head);
            if (length > (ulong)(bytes.Length - at - 16))
                break;
            var payload = bytes.AsSpan(at + 12, (int)length);
            Check(bytes.AsSpan(at + 12 + (int)length), payload);
            payloads.Add(payload.ToArray());
            at += 16 + (int)length;
        }

        return payloads;

        void Check(ReadOnlySpan<byte> stored, ReadOnlySpan<byte> covered)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(stored) != MaskedCrc(covered))
                throw new InputException(
                    $"'{path}' is damaged at byte {at}: a record's checksum is wrong. Use an intact copy of the file."
                );
        }
    }

    private static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        for (; bytes.Length >= 8; bytes = bytes[8..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (var value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        return ~crc;
    }
}
