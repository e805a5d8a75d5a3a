using Retouch.Arena.Material;
using Retouch.Core.Errors;

namespace Retouch.Arena.Study;

/// <summary>All tasks of a study.</summary>
internal sealed class StudyPlan
{
    private StudyPlan(IReadOnlyList<Question> questions, IReadOnlyList<StudyTask> tasks) => (Questions, Tasks) = (questions, tasks);

    /// <summary>Questions in order.</summary>
    public IReadOnlyList<Question> Questions { get; }

    /// <summary>Tasks without attention checks.</summary>
    public IReadOnlyList<StudyTask> Tasks { get; }

    /// <summary>Plans a study.</summary>
    /// <exception cref="UsageException">The baseline is not one of the models, or a question does not suit the pictures.</exception>
    public static StudyPlan For(StudyMaterial material, ArenaOptions options)
    {
        if (options.Baseline is { } baseline && !material.Models.Contains(baseline))
            throw new UsageException($"--baseline '{baseline}' is not one of the models: {string.Join(", ", material.Models)}.");
        var questions = options.Questions ?? [Question.Flaws, Question.Appeal, Question.Alignment];
        var tasks = new List<StudyTask>();
        var asked = new List<Question>();
        foreach (var question in questions)
        {
            var some = (question.IsPaired() ? Pairs(material, question, options.Baseline) : Singles(material, question)).ToList();
            if (some.Count > 0)
                asked.Add(question);
            else if (options.Questions is not null)
                throw new UsageException($"The question '{question.Name()}' is not possible: {Lacking(material, question)}");
            tasks.AddRange(some);
        }

        return tasks.Count > 0
            ? new(asked, tasks)
            : throw new InputException($"No tasks for '{material.Root}': {Lacking(material, Question.Flaws)}");
    }

    private static IEnumerable<StudyTask> Pairs(StudyMaterial material, Question question, string? baseline) =>
        from item in material.Items
        let models = material.Models.Where(m => material.Find(m, item.Key) is not null).ToArray()
        from pair in models.SelectMany((first, i) => models[(i + 1)..].Select(second => (First: first, Second: second)))
        where baseline is null || pair.First == baseline || pair.Second == baseline
        select new StudyTask(question, TaskKind.Judge, item.Key, pair.First, pair.Second);

    private static IEnumerable<StudyTask> Singles(StudyMaterial material, Question question) =>
        from item in material.Items
        where item.Prompt is not null
        from model in material.Models
        where material.Find(model, item.Key) is not null
        select new StudyTask(question, TaskKind.Judge, item.Key, model, null);

    private static string Lacking(StudyMaterial material, Question question) =>
        question.IsPaired()
            ? $"no two models have pictures of the same {(material.MatchedBySeed ? "prompt and seed" : "name")}. Models: "
                + $"{string.Join(", ", material.Models)}."
            : "no picture has a prompt; give one in a metadata.jsonl ({\"file_name\": ..., \"text\": ...}) or a .txt file next to it.";
}
