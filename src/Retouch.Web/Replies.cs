using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Retouch.Core.Json;

namespace Retouch.Web;

/// <summary>JSON requests and replies.</summary>
public static class Replies
{
    private static readonly JsonDocumentOptions Limits = new() { MaxDepth = 8, AllowDuplicateProperties = false };

    /// <summary>Sends a value.</summary>
    public static Task Send<T>(HttpContext context, T value) => SendText(context, JsonSerializer.Serialize(value, JsonStyles.Reply));

    /// <summary>Sends JSON text.</summary>
    public static Task SendText(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        return context.Response.WriteAsync(json, context.RequestAborted);
    }

    /// <summary>Sends an error.</summary>
    public static Task Refuse(HttpContext context, int status, string error)
    {
        context.Response.StatusCode = status;
        return Send(context, new { error });
    }

    /// <summary>Parsed body of a request; null after an error reply if it is invalid.</summary>
    public static async Task<T?> Read<T>(HttpContext context)
        where T : class
    {
        if (!context.Request.HasJsonContentType())
        {
            await Refuse(context, StatusCodes.Status415UnsupportedMediaType, "The body must be JSON.").ConfigureAwait(false);
            return null;
        }

        string error;
        try
        {
            var body = await JsonNode.ParseAsync(context.Request.Body, null, Limits, context.RequestAborted).ConfigureAwait(false);
            var problems = new JsonShape(JsonStyles.Request).Problems(body, typeof(T));
            if (problems.Count == 0)
                return body.Deserialize<T>(JsonStyles.Request);
            error = "The body is not the expected JSON: " + string.Join(' ', problems);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Unpaired surrogates are only detected when a string is read.
            error = "The body is not valid JSON.";
        }

        await Refuse(context, StatusCodes.Status400BadRequest, error).ConfigureAwait(false);
        return null;
    }
}
