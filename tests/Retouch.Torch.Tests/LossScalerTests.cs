using System.Text.Json;
using Retouch.Torch.Optim;

namespace Retouch.Torch.Tests;

/// <summary>The loss scale of float16 against PyTorch's GradScaler.</summary>
public sealed class LossScalerTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Scale_and_count_equal_the_golden(int index)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(OptimiserTests.FindGoldens(), "grad_scaler", "case.json")));
        var golden = document.RootElement.GetProperty("cases")[index];
        Assert.Equal((2, 0.5), (golden.GetProperty("growth").GetDouble(), golden.GetProperty("backoff").GetDouble()));
        var scaler = new LossScaler(
            golden.GetProperty("interval").GetInt32(),
            new LossScalerState(golden.GetProperty("init").GetDouble(), 0, 0)
        );
        var events = golden.GetProperty("events").EnumerateArray().Select(static e => e.GetInt32()).ToArray();
        for (var k = 0; k < events.Length; k++)
        {
            if (events[k] == 0)
                scaler.Took();
            else
                Assert.True(scaler.Skip());
            var row = golden.GetProperty("rows")[k];
            Assert.Equal((row[0].GetDouble(), row[1].GetInt32()), (scaler.Scale, scaler.State.Steady));
        }

        Assert.Equal(events.Count(static e => e > 0), scaler.Skipped);
    }

    [Fact]
    public void It_starts_like_PyTorch_and_resumes_from_a_state()
    {
        Assert.Equal((65536, 0, 0L), (new LossScaler().Scale, new LossScaler().State.Steady, new LossScaler().Skipped));
        var scaler = new LossScaler(2);
        scaler.Took();
        Assert.True(scaler.Skip());
        scaler.Took();
        var again = new LossScaler(2, scaler.State);
        again.Took();
        scaler.Took();
        Assert.Equal(scaler.State, again.State);
        Assert.Equal((65536, 1L), (again.Scale, again.Skipped));
    }

    [Fact]
    public void A_minimal_scale_is_reported_and_kept()
    {
        var scaler = new LossScaler(state: new LossScalerState(Math.ScaleB(1, -14), 7, 3));
        var before = scaler.State;
        Assert.False(scaler.Skip());
        Assert.Equal(before, scaler.State);
    }
}
