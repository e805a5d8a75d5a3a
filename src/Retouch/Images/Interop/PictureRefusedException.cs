namespace Retouch.Images.Interop;

/// <summary>A decoder's reason, without the name of the file; <see cref="PictureFile"/> adds it.</summary>
internal sealed class PictureRefusedException(string reason) : Exception(reason);
