using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Retouch.Arena.Votes;

namespace Retouch.Arena.Site;

/// <summary>JSON requests and replies.</summary>
internal static class Replies
{
    private static readonly JsonSerializerOptions Outgoing = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    private static readonly JsonSerializerOptions Incoming = new(JsonSerializerDefaults.Strict)
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        MaxDepth = 8,
        Converters = { new ExactEnum<Answer>(), new ExactEnum<FlawMark>() },
    };

    /// <summary>Sends a value.</summary>
    public static Task Send<T>(HttpContext context, T value) => SendText(context, JsonSerializer.Serialize(value, Outgoing));

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

        try
        {
            if (
                await JsonSerializer.DeserializeAsync<T>(context.Request.Body, Incoming, context.RequestAborted).ConfigureAwait(false) is
                { } value
            )
                return value;
        }
        catch (JsonException)
        {
            // Rejected below, like the literal null.
        }

        await Refuse(context, StatusCodes.Status400BadRequest, "The body is not the expected JSON.").ConfigureAwait(false);
        return null;
    }
}
