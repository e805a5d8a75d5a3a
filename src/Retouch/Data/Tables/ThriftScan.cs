namespace Retouch.Data.Tables;

/// <summary>
/// Checks a structure in Thrift's compact protocol without reading its texts: types, required fields, and that every list and text ends
/// before the data do. What passes can be read in time and memory in proportion to its length.
/// </summary>
/// <param name="file">File, at the start of the structure.</param>
/// <param name="end">Position of the end of the data.</param>
/// <param name="number">
/// Receives integers and truth values (1 or 0) of known fields outside lists: structure, number of the field, value; and field 0 at the
/// start of each structure. Null for none.
/// </param>
internal sealed class ThriftScan(Stream file, long end, Action<string, int, long>? number = null)
{
    private const int True = 1;
    private const int False = 2;
    private const int List = 9;
    private const int Struct = 12;
    private static readonly string[] Scalars = ["byte", "i16", "i32", "i64", "double", "binary"];

    /// <summary>Checks a structure; the position is then at its end.</summary>
    /// <param name="name">Name in <see cref="ThriftFormat"/>.</param>
    /// <exception cref="TableFaultException">The structure is corrupt.</exception>
    /// <exception cref="NotSupportedException">It has an unknown field that is a structure.</exception>
    public void Check(string name) => Fields(ThriftFormat.Of(name));

    private void Fields(ThriftStruct known)
    {
        number?.Invoke(known.Name, 0, 0);
        var (last, seen) = (0, 0u);
        while (Byte() is var header and not 0)
        {
            var id = header >> 4 == 0 ? Integer(32) : last + (header >> 4);
            if (id is < short.MinValue or > short.MaxValue)
                throw Fault();
            last = (int)id;
            if (!known.Fields.TryGetValue(last, out var field))
            {
                Skip(header & 15);
                continue;
            }

            if ((seen & (1u << last)) != 0)
                throw Fault();
            seen |= 1u << last;
            Value(known, field, header & 15);
        }

        if (known.Fields.Values.Any(f => f.IsRequired && (seen & (1u << f.Number)) == 0))
            throw Fault();
    }

    private void Value(ThriftStruct known, ThriftField field, int type)
    {
        if (field.IsList)
        {
            if (type != List)
                throw Fault();
            var (count, element) = Header();
            if (element != TypeOf(field.Type))
                throw Fault();
            for (var k = 0L; k < count; k++)
                Element(field.Type);
        }
        else if (field.Type == "bool")
        {
            if (type is not (True or False))
                throw Fault();
            number?.Invoke(known.Name, field.Number, type == True ? 1 : 0);
        }
        else if (type != TypeOf(field.Type))
        {
            throw Fault();
        }
        else if (Element(field.Type) is { } value)
        {
            number?.Invoke(known.Name, field.Number, value);
        }
    }

    private static int TypeOf(string name) => Array.IndexOf(Scalars, name) is >= 0 and var at ? at + 3 : Struct;

    private long? Element(string type)
    {
        switch (type)
        {
            case "byte":
                return Byte();
            case "i16" or "i32":
                return Integer(32);
            case "i64":
                return Integer(64);
            case "double":
                Pass(sizeof(double));
                return null;
            case "binary":
                Pass((long)Unsigned(32));
                return null;
            default:
                Fields(ThriftFormat.Of(type));
                return null;
        }
    }

    // Of unknown fields, the library skips values, lists of them, and structures without fields.
    private void Skip(int type)
    {
        if (type is True or False)
            return;
        if (type != List)
        {
            SkipElement(type);
            return;
        }

        var (count, element) = Header();
        for (var k = 0L; k < count; k++)
            SkipElement(element);
    }

    private void SkipElement(int type)
    {
        if (type >= 3 && type < 3 + Scalars.Length)
            Element(Scalars[type - 3]);
        else if (type != Struct)
            throw Fault();
        else if (Byte() != 0)
            throw new NotSupportedException();
    }

    // Each element takes a byte at least.
    private (long Count, int Type) Header()
    {
        var header = Byte();
        var count = header >> 4 == 15 ? (long)Unsigned(32) : header >> 4;
        return count <= end - file.Position ? (count, header & 15) : throw Fault();
    }

    private long Integer(int bits)
    {
        var value = Unsigned(bits);
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    private ulong Unsigned(int bits)
    {
        var result = 0ul;
        for (var shift = 0; shift < bits; shift += 7)
        {
            var next = Byte();
            result |= (ulong)(next & 127) << shift;
            if (next < 128)
                return bits == 64 || result <= uint.MaxValue ? result : throw Fault();
        }

        throw Fault();
    }

    private int Byte() => file.Position < end && file.ReadByte() is >= 0 and var value ? value : throw Fault();

    private void Pass(long count)
    {
        if (count > end - file.Position)
            throw Fault();
        file.Position += count;
    }

    private TableFaultException Fault() => new($"is corrupt: it has no valid structure at byte {file.Position}");
}
