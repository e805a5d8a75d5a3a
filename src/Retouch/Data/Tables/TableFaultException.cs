namespace Retouch.Data.Tables;

/// <summary>A corrupt table.</summary>
/// <param name="message">What is wrong, as the end of a sentence that begins with the file's name.</param>
internal sealed class TableFaultException(string message) : Exception(message);
