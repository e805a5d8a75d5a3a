using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.Options;

namespace Retouch.Training.Conditions;

/// <summary>Number and names of the classes of a class-conditional denoiser that is trained from scratch.</summary>
internal static class ScratchClasses
{
    private const string Origin = "model.config";

    /// <summary>Fills in the number of classes, if the configuration does not state it, and their names, from the data.</summary>
    /// <param name="options">Options of a new run.</param>
    /// <param name="source">Data of the run.</param>
    /// <returns>The same options for existing models and for denoisers without classes.</returns>
    /// <exception cref="InputException">Neither the configuration nor the data states the classes.</exception>
    public static TrainingOptions Fill(TrainingOptions options, IPictureSource source)
    {
        var model = options.Model;
        if (model.Config is null || ComponentRegistry.Find(model.Config, Origin).ClassCountMember is not { } member)
            return options;
        var names = model.Classes ?? source.Classes;
        if (!model.Config.ContainsKey(member))
        {
            if (names.Count == 0)
                throw new InputException(
                    $"{Origin} has no {member}, and the pictures have no classes. Put them into class subfolders, or give {member}."
                );
            var config = model.Config.DeepClone().AsObject();
            config[member] = names.Count;
            model = model with { Config = config };
        }

        return options with
        {
            // Numbered classes without names have none to keep.
            Model = Labels(names).Count > 0 ? model with { Classes = [.. names] } : model,
        };
    }

    /// <summary>Class names by index, without names that are just the index.</summary>
    public static Dictionary<int, string> Labels(IReadOnlyList<string> names) =>
        Enumerable
            .Range(0, names.Count)
            .Where(k => names[k] != k.ToString(CultureInfo.InvariantCulture))
            .ToDictionary(static k => k, k => names[k]);

    /// <summary>Class names of a new denoiser; null without classes.</summary>
    /// <param name="denoiser">The denoiser.</param>
    /// <param name="given"><see cref="ModelOptions.Classes"/>.</param>
    /// <param name="found">Classes of the data.</param>
    /// <exception cref="RetouchException">There are more names than classes, or names for a denoiser without classes.</exception>
    public static Dictionary<int, string>? Of(IDenoiser denoiser, IReadOnlyList<string>? given, IReadOnlyList<string> found)
    {
        const int Shown = 10;
        if (denoiser.ClassCount is not { } count)
            return given is null
                ? null
                : throw new UsageException("model.classes: the denoiser of model.config has no classes; leave it out.");
        var names = given ?? found;
        if (names.Count <= count)
            return Labels(names);
        var list = string.Join(", ", names.Take(Shown)) + (names.Count > Shown ? ", …" : "");
        throw new InputException(
            $"model.classes or the data have {names.Count} classes ({list}), but the denoiser of {Origin} has "
                + $"{count}. Leave the number of classes out of {Origin}, or remove classes."
        );
    }
}
