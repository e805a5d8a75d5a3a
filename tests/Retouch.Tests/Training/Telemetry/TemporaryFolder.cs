namespace Retouch.Tests.Training.Telemetry;

/// <summary>A fresh folder that goes away with the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("retouch-test-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>A thread that was given up may still be writing a file when the folder goes.</summary>
    public void Dispose()
    {
        for (var left = 20; ; left--)
        {
            try
            {
                Directory.Delete(Path, recursive: true);
                return;
            }
            catch (IOException) when (left > 0)
            {
                Thread.Sleep(50);
            }
        }
    }
}
