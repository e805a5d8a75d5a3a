namespace Retouch.Images.Interop;

/// <summary>Reason of a decoder without the file name, which <see cref="PictureFile"/> adds.</summary>
internal sealed class PictureRefusedException(string reason) : Exception(reason);
