using Google.Protobuf;
using Retouch.Images;

namespace Retouch.Training.Telemetry;

/// <summary>
/// Protocol-buffer messages of TensorBoard event files, by field number (tensorflow: core/util/event.proto,
/// core/framework/{summary,tensor,tensor_shape}.proto).
/// </summary>
internal static class EventMessages
{
    // Required content of the first record of an event file.
    private const string Version = "brain.Event:2";
    private const int DataTypeString = 7;
    private const int SessionStart = 1;

    public static byte[] FileVersion(double wallTime) => Event(wallTime, 0, message => WriteText(message, 3, Version));

    /// <summary>Marks earlier events at or after this step as void, after a resume.</summary>
    public static byte[] Restart(double wallTime, long step) =>
        Event(wallTime, step, message => WriteMessage(message, 7, log => WriteVarint(log, 1, SessionStart)));

    public static byte[] Scalars(double wallTime, long step, IEnumerable<KeyValuePair<string, double>> values) =>
        Summary(
            wallTime,
            step,
            summary =>
            {
                foreach (var (tag, value) in values)
                {
                    WriteMessage(
                        summary,
                        1,
                        item =>
                        {
                            WriteText(item, 1, tag);
                            item.WriteTag(2, WireFormat.WireType.Fixed32);
                            item.WriteFloat((float)value);
                        }
                    );
                }
            }
        );

    public static byte[] Image(double wallTime, long step, string tag, PngHeader header, byte[] png) =>
        Summary(
            wallTime,
            step,
            summary =>
                WriteMessage(
                    summary,
                    1,
                    item =>
                    {
                        WriteText(item, 1, tag);
                        WriteMessage(
                            item,
                            4,
                            image =>
                            {
                                WriteVarint(image, 1, header.Height);
                                WriteVarint(image, 2, header.Width);
                                WriteVarint(image, 3, header.Channels);
                                WriteBytes(image, 4, png);
                            }
                        );
                    }
                )
        );

    public static byte[] Text(double wallTime, long step, string tag, string markdown) =>
        Summary(
            wallTime,
            step,
            summary =>
                WriteMessage(
                    summary,
                    1,
                    item =>
                    {
                        WriteText(item, 1, tag);
                        WriteMessage(
                            item,
                            8,
                            tensor =>
                            {
                                WriteVarint(tensor, 1, DataTypeString);
                                WriteMessage(tensor, 2, shape => WriteMessage(shape, 2, dimension => WriteVarint(dimension, 1, 1)));
                                WriteText(tensor, 8, markdown);
                            }
                        );
                        WriteMessage(item, 9, metadata => WriteMessage(metadata, 1, plugin => WriteText(plugin, 1, "text")));
                    }
                )
        );

    private static byte[] Summary(double wallTime, long step, Action<CodedOutputStream> write) =>
        Event(wallTime, step, message => WriteMessage(message, 5, write));

    private static byte[] Event(double wallTime, long step, Action<CodedOutputStream> write) =>
        Serialize(message =>
        {
            message.WriteTag(1, WireFormat.WireType.Fixed64);
            message.WriteDouble(wallTime);
            WriteVarint(message, 2, step);
            write(message);
        });

    private static byte[] Serialize(Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var message = new CodedOutputStream(bytes, leaveOpen: true))
            write(message);
        return bytes.ToArray();
    }

    private static void WriteMessage(CodedOutputStream outer, int field, Action<CodedOutputStream> write) =>
        WriteBytes(outer, field, Serialize(write));

    private static void WriteText(CodedOutputStream message, int field, string text)
    {
        message.WriteTag(field, WireFormat.WireType.LengthDelimited);
        message.WriteString(text);
    }

    private static void WriteBytes(CodedOutputStream message, int field, byte[] bytes)
    {
        message.WriteTag(field, WireFormat.WireType.LengthDelimited);
        message.WriteBytes(UnsafeByteOperations.UnsafeWrap(bytes));
    }

    private static void WriteVarint(CodedOutputStream message, int field, long value)
    {
        message.WriteTag(field, WireFormat.WireType.Varint);
        message.WriteInt64(value);
    }
}
