using System.Reflection;
using Microsoft.AspNetCore.Http;
using Retouch.Web;

namespace Retouch.Arena.Site;

/// <summary>Pages, scripts and styles, embedded in the assembly.</summary>
internal static class Assets
{
    private const string Prefix = "Retouch.Arena.Site.assets.";

    private static readonly Dictionary<string, byte[]> Files = Load();

    /// <summary>Sends a file; 404 for an unknown name.</summary>
    public static async Task Send(HttpContext context, string name)
    {
        if (!Files.TryGetValue(name, out var content))
        {
            await Replies.Refuse(context, StatusCodes.Status404NotFound, "Not found.").ConfigureAwait(false);
            return;
        }

        context.Response.ContentType = Path.GetExtension(name) switch
        {
            ".html" => "text/html; charset=utf-8",
            ".css" => "text/css; charset=utf-8",
            ".svg" => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        context.Response.ContentLength = content.Length;
        await context.Response.Body.WriteAsync(content, context.RequestAborted).ConfigureAwait(false);
    }

    private static Dictionary<string, byte[]> Load()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return assembly
            .GetManifestResourceNames()
            .Where(static n => n.StartsWith(Prefix, StringComparison.Ordinal))
            .ToDictionary(static n => n[Prefix.Length..], Read, StringComparer.Ordinal);

        byte[] Read(string name)
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            var content = new byte[stream.Length];
            stream.ReadExactly(content);
            return content;
        }
    }
}
