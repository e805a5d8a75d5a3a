using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace Retouch.Torch.Pickle;

/// <summary>
/// Pickle interpreter (protocols 0 to 5; opcodes as documented in Python's <c>pickletools</c>) without arbitrary imports: globals are
/// looked up in <see cref="PickleGlobals"/> only.
/// </summary>
internal ref struct Unpickler
{
    private readonly ReadOnlySpan<byte> _data;
    private readonly string _origin;
    private readonly List<object?> _stack = [];
    private readonly List<int> _marks = [];
    private readonly Dictionary<long, object?> _memo = [];
    private int _position;

    private Unpickler(ReadOnlySpan<byte> data, string origin)
    {
        _data = data;
        _origin = origin;
    }

    /// <summary>Reads a pickle.</summary>
    /// <param name="data">Data that starts with the pickle.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <param name="length">Length of the pickle in bytes.</param>
    /// <exception cref="PickleException">The pickle is malformed.</exception>
    /// <exception cref="Core.Errors.InputException">The pickle has a global that tensors do not need.</exception>
    public static object? Read(ReadOnlySpan<byte> data, string origin, out int length)
    {
        var machine = new Unpickler(data, origin);
        while (true)
        {
            var operation = machine.Byte();
            if (operation == '.')
            {
                length = machine._position;
                return machine.Pop();
            }

            if (!machine.TryPush(operation) && !machine.TryBuild(operation))
                throw new PickleException($"it has the unknown opcode 0x{operation:x2} at byte {machine._position - 1}");
        }
    }

    /// <summary>Opcodes that push a value.</summary>
    private bool TryPush(byte operation)
    {
        object? value;
        switch ((char)operation)
        {
            case 'N':
                value = null;
                break;
            case '\x88':
                value = true;
                break;
            case '\x89':
                value = false;
                break;
            case 'K':
                value = (long)Byte();
                break;
            case 'M':
                value = (long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2));
                break;
            case 'J':
                value = (long)BinaryPrimitives.ReadInt32LittleEndian(Take(4));
                break;
            case '\x8a':
                value = Long(Byte());
                break;
            case '\x8b':
                value = Long(Length4());
                break;
            case 'I':
                value = Line() switch
                {
                    "00" => false,
                    "01" => true,
                    var text => Number(text),
                };
                break;
            case 'L':
                value = Number(Line().TrimEnd('L'));
                break;
            case 'F':
                value = double.TryParse(Line(), CultureInfo.InvariantCulture, out var number)
                    ? number
                    : throw new PickleException("it has an invalid number");
                break;
            case 'G':
                value = BinaryPrimitives.ReadDoubleBigEndian(Take(8));
                break;
            case 'V':
                value = Line();
                break;
            case 'X':
                value = Encoding.UTF8.GetString(Take(Length4()));
                break;
            case '\x8c':
                value = Encoding.UTF8.GetString(Take(Byte()));
                break;
            case '\x8d':
                value = Encoding.UTF8.GetString(Take(Length8()));
                break;
            case 'T':
                value = Encoding.Latin1.GetString(Take(Length4()));
                break;
            case 'U':
                value = Encoding.Latin1.GetString(Take(Byte()));
                break;
            case 'B':
                value = Take(Length4()).ToArray();
                break;
            case 'C':
                value = Take(Byte()).ToArray();
                break;
            case '\x8e':
                value = Take(Length8()).ToArray();
                break;
            case '}':
                value = new PickleDict();
                break;
            case ']' or '\x8f':
                value = new List<object?>();
                break;
            case ')':
                value = new PickleTuple([]);
                break;
            case 'c':
                value = PickleGlobals.Find(Line(), Line(), _origin);
                break;
            case 'h':
                value = Recall(Byte());
                break;
            case 'j':
                value = Recall(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)));
                break;
            case 'g':
                value = Recall(Number(Line()));
                break;
            default:
                return false;
        }

        _stack.Add(value);
        return true;
    }

    /// <summary>Opcodes that operate on the stack.</summary>
    private bool TryBuild(byte operation)
    {
        switch ((char)operation)
        {
            case '\x80':
                Byte();
                return true;
            case '\x95':
                Take(8);
                return true;
            case '(':
                _marks.Add(_stack.Count);
                return true;
            case '0':
                Pop();
                return true;
            case '1':
                PopMarked();
                return true;
            case '2':
                _stack.Add(Top());
                return true;
            case '\x85':
                _stack.Add(Tuple(1));
                return true;
            case '\x86':
                _stack.Add(Tuple(2));
                return true;
            case '\x87':
                _stack.Add(Tuple(3));
                return true;
            case 't':
                _stack.Add(new PickleTuple(PopMarked()));
                return true;
            case 'l' or '\x91':
                _stack.Add(PopMarked().ToList());
                return true;
            case 'd':
                _stack.Add(Fill(new PickleDict(), PopMarked()));
                return true;
            case 'a':
                var item = Pop();
                List().Add(item);
                return true;
            case 'e' or '\x90':
                var items = PopMarked();
                List().AddRange(items);
                return true;
            case 's':
                object?[] pair = [.. ((PickleTuple)Tuple(2)).Items];
                Fill(Dictionary(), pair);
                return true;
            case 'u':
                var pairs = PopMarked();
                Fill(Dictionary(), pairs);
                return true;
            case 'p':
                _memo[Number(Line())] = Top();
                return true;
            case 'q':
                _memo[Byte()] = Top();
                return true;
            case 'r':
                _memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Top();
                return true;
            case '\x94':
                _memo[_memo.Count] = Top();
                return true;
            case '\x93':
                _stack.Add(Global());
                return true;
            case 'Q':
                _stack.Add(PickleGlobals.Storage(Pop()));
                return true;
            case 'R':
                _stack.Add(Call());
                return true;
            case 'b':
                // The attributes of a state_dict (version numbers) are not needed, and no other object has any.
                Pop();
                Dictionary();
                return true;
            default:
                return false;
        }
    }

    private object? Call()
    {
        var arguments = Pop() as PickleTuple ?? throw new PickleException("a call has no arguments");
        var global = Pop() as PickleGlobal ?? throw new PickleException("it calls an object that is not a global");
        return PickleGlobals.Call(global, arguments.Items);
    }

    private PickleGlobal Global()
    {
        var (name, module) = (Pop() as string, Pop() as string);
        return PickleGlobals.Find(
            module ?? throw new PickleException("the name of a global is not a string"),
            name ?? throw new PickleException("the name of a global is not a string"),
            _origin
        );
    }

    private static PickleDict Fill(PickleDict dictionary, object?[] items)
    {
        if (items.Length % 2 != 0)
            throw new PickleException("a dictionary has a key without a value");
        for (var k = 0; k < items.Length; k += 2)
            dictionary.Items.Add(new(items[k], items[k + 1]));
        return dictionary;
    }

    private readonly object? Recall(long key) =>
        _memo.TryGetValue(key, out var value) ? value : throw new PickleException($"it reads memo entry {key}, which was never written");

    private readonly object? Top() => _stack.Count > Floor() ? _stack[^1] : throw new PickleException("its stack is empty");

    private readonly object? Pop()
    {
        var value = Top();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    /// <summary>Stack index of the last mark; values below it must not be popped.</summary>
    private readonly int Floor() => _marks.Count > 0 ? _marks[^1] : 0;

    private readonly object?[] PopMarked()
    {
        if (_marks.Count == 0)
            throw new PickleException("it pops a mark that was never pushed");
        var start = _marks[^1];
        _marks.RemoveAt(_marks.Count - 1);
        object?[] items = [.. _stack.Skip(start)];
        _stack.RemoveRange(start, _stack.Count - start);
        return items;
    }

    private readonly object Tuple(int count)
    {
        if (_stack.Count - count < Floor())
            throw new PickleException("its stack is empty");
        object?[] items = [.. _stack.Skip(_stack.Count - count)];
        _stack.RemoveRange(_stack.Count - count, count);
        return new PickleTuple(items);
    }

    private readonly List<object?> List() =>
        Top() as List<object?> ?? throw new PickleException("it appends to an object that is not a list");

    private readonly PickleDict Dictionary() =>
        Top() as PickleDict ?? throw new PickleException("it sets items of an object that is not a dictionary");

    private byte Byte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > _data.Length - _position)
            throw new PickleException("it ends within an opcode");
        var taken = _data.Slice(_position, count);
        _position += count;
        return taken;
    }

    private int Length4() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    private int Length8() =>
        BinaryPrimitives.ReadInt64LittleEndian(Take(8)) is var length and >= 0 and <= int.MaxValue
            ? (int)length
            : throw new PickleException("it ends within an opcode");

    private string Line()
    {
        var end = _data[_position..].IndexOf((byte)'\n');
        if (end < 0)
            throw new PickleException("it ends within an opcode");
        var line = Encoding.UTF8.GetString(Take(end));
        _position++;
        return line;
    }

    private static long Number(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new PickleException("it has an invalid number");

    /// <summary>An integer of any length in two's complement.</summary>
    private object Long(int count)
    {
        var value = new BigInteger(Take(count));
        return value >= long.MinValue && value <= long.MaxValue ? (object)(long)value : value;
    }
}
