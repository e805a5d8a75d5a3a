using Retouch.Data.Scenes;
using Retouch.Images;

namespace Retouch.Tests;

/// <summary>Folders of procedural scenes.</summary>
internal static class SceneFolder
{
    /// <summary>Writes all scenes.</summary>
    /// <param name="folder">Output folder.</param>
    /// <param name="scenes">The scenes.</param>
    /// <param name="name">Path of a scene in the folder, by index; the extension determines the format.</param>
    public static void Write(string folder, ProceduralScenes scenes, Func<int, string> name)
    {
        for (var k = 0; k < scenes.Count; k++)
        {
            var path = Path.Combine(folder, name(k));
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            PictureFile.Save(scenes.Load(k).Picture, path);
        }
    }
}
