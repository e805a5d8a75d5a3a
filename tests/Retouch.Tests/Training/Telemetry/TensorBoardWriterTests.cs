using System.Text;
using Google.Protobuf;
using Retouch.Core.Errors;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Telemetry;

public sealed class TensorBoardWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Masked_crc_equals_published_Castagnoli_values()
    {
        // CRC-32C check value, and the vectors of RFC 3720, B.4.
        Assert.Equal(Mask(0xE3069283), RecordFile.MaskedCrc("123456789"u8));
        Assert.Equal(Mask(0x8A9136AA), RecordFile.MaskedCrc(new byte[32]));
        Assert.Equal(Mask(0x46DD794E), RecordFile.MaskedCrc([.. Enumerable.Range(0, 32).Select(i => (byte)i)]));
        Assert.Equal(Mask(0), RecordFile.MaskedCrc([]));
    }

    [Fact]
    public void Checksums_equal_a_bitwise_crc()
    {
        using (var writer = TensorBoardWriter.Create(_folder.Path, _time))
        {
            for (var step = 0; step < 20; step++)
                writer.Scalars(step, [new(new string('x', step), step)]);
        }

        var bytes = File.ReadAllBytes(Assert.Single(Directory.GetFiles(_folder.Path)));
        var records = 0;
        for (var at = 0; at < bytes.Length; records++)
        {
            var length = (int)BitConverter.ToUInt64(bytes, at);
            Assert.Equal(Mask(BitwiseCrc(bytes.AsSpan(at, 8))), BitConverter.ToUInt32(bytes, at + 8));
            Assert.Equal(Mask(BitwiseCrc(bytes.AsSpan(at + 12, length))), BitConverter.ToUInt32(bytes, at + 12 + length));
            at += 16 + length;
        }

        Assert.Equal(21, records);
    }

    [Fact]
    public void Events_survive_a_round_trip()
    {
        var png = TestPng.Encode(2, 3, (x, y) => ((byte)x, (byte)y, 7));
        string path;
        using (var writer = TensorBoardWriter.Create(_folder.Path, _time))
        {
            path = writer.Path;
            _time.Advance(2);
            writer.Scalars(7, [new("loss/latent", 0.25), new("loss/lpl", double.NaN)]);
            writer.Image(8, "samples", png);
            writer.Text(9, "options", "**w** = 3");
        }

        Assert.Matches("^events\\.out\\.tfevents\\.1767323045\\.", Path.GetFileName(path));
        var events = RecordFile.Read(path).Select(Message.Parse).ToArray();
        Assert.Equal(4, events.Length);
        Assert.Equal("brain.Event:2", events[0].Text(3));
        Assert.Equal(1767323045.25, events[0].Double(1));

        Assert.Equal(1767323047.25, events[1].Double(1));
        Assert.Equal(7, events[1].Number(2));
        var scalars = events[1].Child(5).Children(1);
        Assert.Equal(["loss/latent", "loss/lpl"], scalars.Select(value => value.Text(1)));
        Assert.Equal([0.25f, float.NaN], scalars.Select(value => value.Float(2)));

        var picture = Assert.Single(events[2].Child(5).Children(1));
        Assert.Equal("samples", picture.Text(1));
        Assert.Equal((3L, 2L, 3L), (picture.Child(4).Number(1), picture.Child(4).Number(2), picture.Child(4).Number(3)));
        Assert.Equal(png, picture.Child(4).Bytes(4));

        var text = Assert.Single(events[3].Child(5).Children(1));
        Assert.Equal((7L, 1L, "**w** = 3"), (text.Child(8).Number(1), text.Child(8).Child(2).Child(2).Number(1), text.Child(8).Text(8)));
        Assert.Equal("text", text.Child(9).Child(1).Text(1));
    }

    [Fact]
    public void A_resumed_run_writes_a_new_file_that_supersedes_later_steps()
    {
        using (TensorBoardWriter.Create(_folder.Path, _time)) { }

        string path;
        using (var writer = TensorBoardWriter.Create(_folder.Path, _time, resumedStep: 40))
            path = writer.Path;

        Assert.Equal(path, Directory.GetFiles(_folder.Path).Order(StringComparer.Ordinal).Last());
        var restart = Message.Parse(RecordFile.Read(path)[1]);
        Assert.Equal((41L, 1L), (restart.Number(2), restart.Child(7).Number(1)));
    }

    [Fact]
    public void Image_rejects_data_other_than_png()
    {
        using var writer = TensorBoardWriter.Create(_folder.Path, _time);
        Assert.Throws<ArgumentException>(() => writer.Image(1, "a", Encoding.ASCII.GetBytes(new string('J', 64))));
    }

    [Fact]
    public void Read_detects_damage_and_skips_a_truncated_record()
    {
        string path;
        using (var writer = TensorBoardWriter.Create(_folder.Path, _time))
        {
            path = writer.Path;
            writer.Scalars(1, [new("a", 1)]);
        }

        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..^3]);
        Assert.Single(RecordFile.Read(path));
        bytes[^6] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Throws<InputException>(() => RecordFile.Read(path));
    }

    private static uint Mask(uint crc) => unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8);

    private static uint BitwiseCrc(ReadOnlySpan<byte> bytes)
    {
        var crc = 0xFFFFFFFFu;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
        }

        return ~crc;
    }

    /// <summary>A protocol-buffer message read by field number.</summary>
    private sealed class Message
    {
        private readonly List<(int Field, object Value)> _fields = [];

        public static Message Parse(byte[] bytes)
        {
            var message = new Message();
            using var input = new CodedInputStream(bytes);
            while (input.ReadTag() is var tag and not 0)
            {
                message._fields.Add(
                    (
                        WireFormat.GetTagFieldNumber(tag),
                        WireFormat.GetTagWireType(tag) switch
                        {
                            WireFormat.WireType.Varint => input.ReadInt64(),
                            WireFormat.WireType.Fixed64 => input.ReadDouble(),
                            WireFormat.WireType.Fixed32 => input.ReadFloat(),
                            WireFormat.WireType.LengthDelimited => input.ReadBytes().ToByteArray(),
                            var other => throw new InvalidDataException(other.ToString()),
                        }
                    )
                );
            }

            return message;
        }

        public IEnumerable<Message> Children(int field) =>
            _fields.Where(item => item.Field == field).Select(item => Parse((byte[])item.Value));

        public Message Child(int field) => Assert.Single(Children(field));

        public string Text(int field) => Encoding.UTF8.GetString(Bytes(field));

        public byte[] Bytes(int field) => (byte[])Only(field);

        public long Number(int field) => (long)Only(field);

        public double Double(int field) => (double)Only(field);

        public float Float(int field) => (float)Only(field);

        private object Only(int field) => Assert.Single(_fields, item => item.Field == field).Value;
    }
}
