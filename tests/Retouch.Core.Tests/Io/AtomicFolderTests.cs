using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Core.Tests.Io;

/// <summary>A folder is always complete, with the old or the new content.</summary>
public sealed class AtomicFolderTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("retouch-folder-").FullName;

    private string Target => Path.Combine(_root, "model");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void New_content_replaces_the_old_without_leftovers()
    {
        AtomicFolder.Write(Target, static f => Fill(f, "old", "gone.txt"));
        AtomicFolder.Write(Target + "/", static f => Fill(f, "new", Path.Combine("inner", "b.txt")));
        Assert.Equal("new", File.ReadAllText(Path.Combine(Target, "a.txt")));
        Assert.Equal("new", File.ReadAllText(Path.Combine(Target, "inner", "b.txt")));
        Assert.False(File.Exists(Path.Combine(Target, "gone.txt")));
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(_root));
    }

    [Fact]
    public void A_failed_write_keeps_the_old_content()
    {
        AtomicFolder.Write(Target, static f => Fill(f, "old", "b.txt"));
        Assert.Throws<InvalidDataException>(() =>
            AtomicFolder.Write(
                Target,
                static f =>
                {
                    Fill(f, "new", "b.txt");
                    throw new InvalidDataException();
                }
            )
        );
        var error = Assert.Throws<EnvironmentException>(() =>
            AtomicFolder.Write(Target, static _ => throw new IOException("disk full", 28))
        );
        Assert.Contains("no space is left on the disk", error.Message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(Path.Combine(Target, "b.txt")));
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(_root));
    }

    [Fact]
    public void Two_renames_replace_an_exchange_and_survive_a_kill()
    {
        AtomicFolder.Write(Target, static f => Fill(f, "old", "b.txt"));
        AtomicFolder.Write(Target, static f => Fill(f, "new", "b.txt"), static (_, _) => false);
        Assert.Equal("new", File.ReadAllText(Path.Combine(Target, "b.txt")));
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(_root));
        // State after a kill between the renames.
        Directory.Move(Target, Target + ".previous");
        AtomicFolder.Recover(Target);
        Assert.Equal("new", File.ReadAllText(Path.Combine(Target, "b.txt")));
        Assert.Equal([Target], Directory.EnumerateFileSystemEntries(_root));
    }

    [Fact]
    public async Task A_reader_always_finds_a_complete_folder()
    {
        AtomicFolder.Write(Target, static f => Fill(f, "0", "b.txt"));
        using var stop = new CancellationTokenSource();
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var reader = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                Assert.True(Directory.Exists(Target));
                started.TrySetResult();
            }
        });
        // On a busy machine the reader may start late; only concurrent reads are relevant.
        await Task.WhenAny(started.Task, reader);
        for (var k = 0; k < 50; k++)
            AtomicFolder.Write(Target, f => Fill(f, $"{k}", "b.txt"));
        await stop.CancelAsync();
        await reader;
        Assert.True(started.Task.IsCompletedSuccessfully);
    }

    [Fact]
    public void A_link_is_followed_and_a_file_is_not_replaced()
    {
        AtomicFolder.Write(Target, static f => Fill(f, "old", "b.txt"));
        var link = Path.Combine(_root, "latest");
        Directory.CreateSymbolicLink(link, Target);
        AtomicFolder.Write(link, static f => Fill(f, "new", "b.txt"));
        Assert.Equal("new", File.ReadAllText(Path.Combine(Target, "b.txt")));
        Assert.NotNull(new DirectoryInfo(link).LinkTarget);
        Assert.Throws<EnvironmentException>(() => AtomicFolder.Write(Path.Combine(Target, "b.txt"), static f => Fill(f, "x", "y")));
        Assert.Equal("new", File.ReadAllText(Path.Combine(Target, "b.txt")));
    }

    [Fact]
    public void Read_only_files_can_be_part_of_it()
    {
        AtomicFolder.Write(
            Target,
            static f =>
            {
                Fill(f, "old", "b.txt");
                File.SetAttributes(Path.Combine(f, "b.txt"), FileAttributes.ReadOnly);
            }
        );
        AtomicFolder.Write(Target, static f => Fill(f, "new", "b.txt"));
        Assert.Equal("new", File.ReadAllText(Path.Combine(Target, "b.txt")));
    }

    private static void Fill(string folder, string text, string second)
    {
        File.WriteAllText(Path.Combine(folder, "a.txt"), text);
        var path = Path.Combine(folder, second);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
