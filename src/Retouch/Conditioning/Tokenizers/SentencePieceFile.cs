using Google.Protobuf;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Reads what a tokenizer needs from sentencepiece's <c>ModelProto</c>, whose field numbers are public (sentencepiece_model.proto).
/// </summary>
internal static class SentencePieceFile
{
    private const int Unigram = 1;

    /// <summary>Reads a model.</summary>
    /// <exception cref="InputException">It is malformed, or not of the kind unigram.</exception>
    public static UnigramModel Parse(ReadOnlyMemory<byte> bytes, string origin)
    {
        if (bytes.Length > TokenizerBytes.MaxBytes)
            throw new InputException(
                $"'{origin}' has {bytes.Length >> 20} MiB; files of tokenizers are read up to {TokenizerBytes.MaxBytes >> 20} MiB."
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
            throw new InputException($"'{origin}' is no sentencepiece model: it is broken or cut off.", e);
        }
    }

    /// <summary>Walks the fields of a message; what is not read is passed over.</summary>
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
            : throw new InputException($"'{origin}': the piece '{TokenizerBytes.Short(text)}' is of the unknown kind {kind}.");
    }

    private static void CheckTrainer(byte[] message, string origin) =>
        Fields(
            message,
            (field, input) =>
            {
                if (field != (3, WireFormat.WireType.Varint))
                    return false;
                if (input.ReadEnum() is var kind && kind != Unigram)
                    throw new InputException(
                        $"'{origin}' is a sentencepiece model of the kind {kind}; T5's is a unigram model ({Unigram})."
                    );
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
                // Adding a first space, removing further ones, and writing them as ▁ are what T5 does, and the defaults.
                if (field.Number is >= 3 and <= 5 && field.Type == WireFormat.WireType.Varint)
                {
                    if (!input.ReadBool())
                        throw new InputException(
                            $"'{origin}' treats spaces otherwise than T5 (field {field.Number} of its normaliser is false), which "
                                + $"is not supported."
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
