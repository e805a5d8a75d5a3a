namespace Retouch.Core.Json;

/// <summary>Forms in JSON of a type with its own converter, as a noun phrase for messages.</summary>
/// <param name="expected">Such as: a number, or "auto".</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct)]
public sealed class JsonFormAttribute(string expected) : Attribute
{
    /// <summary>Valid forms.</summary>
    public string Expected => expected;
}
