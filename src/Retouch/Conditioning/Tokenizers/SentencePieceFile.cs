using Google.Protobuf;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Parses the tokenizer fields of sentencepiece's <c>ModelProto</c> (field numbers from sentencepiece_model.proto).
/// </summary>
internal static class SentencePieceFile
{
    private const int Unigram = 1;

    /// <summary>Parses a model.</summary>
    /// <exception cref="InputException">The file is malformed or not a unigram model.</exception>
    public static UnigramModel Parse(ReadOnlyMemory<byte> bytes, string origin)
    {
        if (bytes.Length > TokenizerBytes.MaxBytes)
            throw new InputException(
                $"'{origin}' has {bytes.Length >> 20} MiB; tokenizer files of at most {TokenizerBytes.MaxBytes >> 20} MiB are supported."
            );
        try
        {
            var pieces = new List<UnigramPiece>();
            var characters = CharacterMap.Parse([], origin);
            Fields(
                bytes.ToArray(),
                (field, input) =>
                {
                    if (field == (1, WireFormat.WireType.LengthDelimited))
                        pieces.Add(Piece(input.ReadBytes().ToByteArray(), origin));
                    else if (field == (2, WireFormat.WireType.LengthDelimited))
                        CheckTrainer(input.ReadBytes().ToByteArray(), origin);
                    else if (field == (3, WireFormat.WireType.LengthDelimited))
                        characters = Normaliser(input.ReadBytes().ToByteArray(), origin) ?? characters;
                    else
                        return false;
                    return true;
                }
            );
            return new UnigramModel(pieces, characters, origin);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new InputException($"'{origin}' is not a sentencepiece model: it is corrupt or truncated.", e);
        }
    }

    /// <summary>Iterates over the fields of a message, skipping those that <paramref name="read"/> does not read.</summary>
    private static void Fields(byte[] message, Func<(int Number, WireFormat.WireType Type), CodedInputStream, bool> read)
    {
        using var input = new CodedInputStream(message);
        for (uint tag; (tag = input.ReadTag()) != 0; )
        {
            if (!read((WireFormat.GetTagFieldNumber(tag), WireFormat.GetTagWireType(tag)), input))
                input.SkipLastField();
        }
    }

    private static UnigramPiece Piece(byte[] message, string origin)
    {
        var (text, score, kind) = ("", 0f, (int)PieceKind.Normal);
        Fields(
            message,
            (field, input) =>
            {
                if (field == (1, WireFormat.WireType.LengthDelimited))
                    text = TokenizerBytes.Text(input.ReadBytes().Span, origin);
                else if (field == (2, WireFormat.WireType.Fixed32))
                    score = input.ReadFloat();
                else if (field == (3, WireFormat.WireType.Varint))
                    kind = input.ReadEnum();
                else
                    return false;
                return true;
            }
        );
        return kind is >= (int)PieceKind.Normal and <= (int)PieceKind.Byte
            ? new UnigramPiece(text, score, (PieceKind)kind)
            : throw new InputException($"'{origin}': the piece '{TokenizerBytes.Short(text)}' has the unknown type {kind}.");
    }

    private static void CheckTrainer(byte[] message, string origin) =>
        Fields(
            message,
            (field, input) =>
            {
                if (field != (3, WireFormat.WireType.Varint))
                    return false;
                if (input.ReadEnum() is var kind && kind != Unigram)
                    throw new InputException($"'{origin}' is a sentencepiece model of type {kind}; T5 needs a unigram model ({Unigram}).");
                return true;
            }
        );

    private static CharacterMap? Normaliser(byte[] message, string origin)
    {
        CharacterMap? characters = null;
        Fields(
            message,
            (field, input) =>
            {
                // Adding a leading space, removing extra spaces and escaping spaces as ▁ are the defaults, and what T5 does.
                if (field.Number is >= 3 and <= 5 && field.Type == WireFormat.WireType.Varint)
                {
                    if (!input.ReadBool())
                        throw new InputException(
                            $"'{origin}' treats spaces differently from T5 (field {field.Number} of its normalizer is false), which is not "
                                + $"supported."
                        );
                }
                else if (field == (2, WireFormat.WireType.LengthDelimited))
                {
                    characters = CharacterMap.Parse(input.ReadBytes().Span, origin);
                }
                else
                {
                    return false;
                }

                return true;
            }
        );
        return characters;
    }
}
