using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>
/// The kernels for GPUs equal separate operators: emulated on the CPU for every type, size and block size, and on a GPU if there is one.
/// </summary>
[Collection(PretendedDevice.Collection)]
public sealed class DeviceFeatureLossTests
{
    private static readonly DType[] Types = [DType.Float32, DType.Float64, DType.BFloat16, DType.Float16];

    public static TheoryData<DType, long, long, MaskSource, int, int, bool> Cases()
    {
        var cases = new TheoryData<DType, long, long, MaskSource, int, int, bool>();
        foreach (var dtype in Types)
        {
            foreach (var (height, width) in new[] { (1L, 1L), (1L, 9L), (3L, 2L), (6L, 7L), (33L, 17L), (64L, 64L), (130L, 96L) })
            {
                cases.Add(dtype, height, width, MaskSource.Estimate, 3, 5, false);
                cases.Add(dtype, height, width, MaskSource.Target, 1, 3, true);
            }

            cases.Add(dtype, 64, 64, MaskSource.Estimate, 7, 11, true);
            cases.Add(dtype, 4, 300, MaskSource.Estimate, 5, 9, false);
        }

        return cases;
    }

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Cases))]
    public void Emulated_kernels_equal_separate_operators(
        DType dtype,
        long height,
        long width,
        MaskSource source,
        int closing,
        int opening,
        bool kept
    )
    {
        using var watch = PretendedDevice.Watch(nameof(DeviceFeatureLossTests));
        Check(PretendedDevice.Device, dtype, height, width, source, closing, opening, kept);
    }

    [CudaTheory]
    [MemberData(nameof(Cases))]
    public void Kernels_on_a_GPU_equal_separate_operators(
        DType dtype,
        long height,
        long width,
        MaskSource source,
        int closing,
        int opening,
        bool kept
    ) => Check(Device.Cuda(), dtype, height, width, source, closing, opening, kept);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(32)]
    [InlineData(512)]
    public void Results_depend_neither_on_the_order_nor_on_the_size_of_blocks(int threads)
    {
        using var scope = TensorScope.Enter();
        using var watch = PretendedDevice.Watch(nameof(DeviceFeatureLossTests));
        var (target, estimate) = FusedFeatureLossTests.Features(DType.Float32, 41, 33);
        var settings = FeatureLossTests.Settings(StatisticsSource.Estimate, true, true);
        var (expected, expectedGradient) = OnDevice(PretendedDevice.Device, target, estimate, settings);
        (FeatureTerms Terms, Tensor Gradient) With(bool descending)
        {
            using var block = PretendedDevice.Threads(threads, descending);
            return OnDevice(PretendedDevice.Device, target, estimate, settings);
        }

        var (ascending, gradient) = With(false);
        FusedFeatureLossTests.Close(expected, ascending, 2e-6);
        FusedFeatureLossTests.Close(expectedGradient, gradient, 1e-5);
        var (descending, same) = With(true);
        FusedFeatureLossTests.Close(ascending, descending, 0);
        Assert.Equal(gradient.ToArray<float>(), same.ToArray<float>());
    }

    [Fact]
    public void Quantiles_of_difficult_maps_are_exact()
    {
        using var scope = TensorScope.Enter();
        using var watch = PretendedDevice.Watch(nameof(DeviceFeatureLossTests));
        using var generator = Generator.Create(Device.Cpu, 4);
        // No margin, no windows: pixels strictly between the quantiles are kept, so that a single wrong rank is visible.
        var settings = FeatureLossTests.Settings(null, true, false) with
        {
            Mask = new MaskSettings(MaskSource.Estimate, 0.02, 0, 1, 1),
        };
        foreach (var dtype in new[] { DType.Float32, DType.Float64 })
        {
            foreach (var map in FusedFeatureLossTests.DifficultMaps(generator))
            {
                var x = map.To(dtype);
                var expected = OutlierMask.Compute(x, settings.Mask!).Sum().Item();
                Assert.Equal(expected, OnDevice(PretendedDevice.Device, x, x, settings).Terms.Kept.Item());
            }
        }
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Non_finite_values_are_not_masked(double planted)
    {
        using var scope = TensorScope.Enter();
        using var watch = PretendedDevice.Watch(nameof(DeviceFeatureLossTests));
        var (target, estimate) = FusedFeatureLossTests.Features(DType.Float64, 16, 16);
        foreach (var broken in new[] { target, estimate })
        {
            var good = broken.Span<double>()[5];
            broken.Span<double>()[5] = planted;
            var (terms, _) = OnDevice(
                PretendedDevice.Device,
                target,
                estimate,
                FeatureLossTests.Settings(StatisticsSource.Estimate, true, false)
            );
            broken.Span<double>()[5] = good;
            var losses = terms.Loss.ToArray<double>();
            Assert.False(double.IsFinite(losses[0]));
            Assert.All(losses[1..], static l => Assert.True(double.IsFinite(l)));
        }
    }

    [Theory]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Float16)]
    public void All_numbers_of_16_bits_are_read_and_rounded_as_in_libtorch(DType dtype)
    {
        using var scope = TensorScope.Enter();
        using var watch = PretendedDevice.Watch(nameof(DeviceFeatureLossTests));
        const int Numbers = 1 << 16;
        var bits = Enumerable.Range(0, Numbers).ToArray();
        var values =
            dtype == DType.Float16
                ? bits.Select(static b => (float)BitConverter.UInt16BitsToHalf((ushort)b))
                : bits.Select(static b => BitConverter.Int32BitsToSingle(b << 16));
        long[] shape = [1, 1, 256, 256];
        var all = Tensor.From([.. values], shape).To(dtype);
        using var generator = Generator.Create(Device.Cpu, 5);
        foreach (var other in new[] { Ops.Zeros(shape), Ops.Randn(shape, generator) * 1e-4, Ops.Randn(shape, generator) })
        {
            var subtracted = other.To(dtype);
            // Without statistics the gradient at a pixel is −2·(target − estimate)·gradient/pixels.
            var found = Ops.FeatureLossBackward(
                    Ops.Full([1L, 1], -Numbers / 2.0).To(PretendedDevice.Device),
                    all.To(PretendedDevice.Device),
                    subtracted.To(PretendedDevice.Device),
                    Ops.Zeros([1L, 1, 8], dtype: DType.Float64).To(PretendedDevice.Device),
                    Ops.Zeros([0L], dtype: DType.UInt8).To(PretendedDevice.Device),
                    0,
                    false,
                    0,
                    1,
                    false
                )
                .To(Device.Cpu);
            var expected = (all.To(DType.Float32) - subtracted.To(DType.Float32)).To(dtype);
            Assert.Equal(dtype, found.DType);
            // Infinities minus numbers pass through a product with zero in the kernel's sum, as does NaN.
            var finite = all.To(DType.Float32).Isfinite();
            Assert.True(Ops.Equal(expected.MaskedSelect(finite), found.MaskedSelect(finite)));
            Assert.Equal(0, found.MaskedSelect(finite.LogicalNot()).To(DType.Float32).Isfinite().Sum().Item());
        }
    }

    private static void Check(Device device, DType dtype, long height, long width, MaskSource source, int closing, int opening, bool kept)
    {
        using var scope = TensorScope.Enter();
        var (target, estimate) = FusedFeatureLossTests.Features(dtype, height, width);
        var exact = dtype == DType.Float64;
        var rounding = exact ? 1e-11 : 2e-5;
        var storage = dtype switch
        {
            DType.BFloat16 => 1.0 / 256,
            DType.Float16 => 1.0 / 2048,
            _ => 0,
        };
        var quantum = dtype == DType.Float16 ? Math.Pow(2, -24) : 0;
        foreach (var settings in FusedFeatureLossTests.Variants(source, closing, opening, kept))
        {
            foreach (
                var (f, g) in new[]
                {
                    (target, estimate),
                    (target.Narrow(0, 1, 1).Narrow(1, 2, 1), estimate.Narrow(0, 1, 1).Narrow(1, 2, 1)),
                }
            )
            {
                var wide = exact ? DType.Float64 : DType.Float32;
                var (expected, expectedGradient) = FusedFeatureLossTests.Run(
                    static (a, b, s) => FeatureLoss.Compare(a, b, s),
                    f.To(wide),
                    g.To(wide),
                    settings
                );
                var (actual, gradient) = OnDevice(device, f, g, settings);
                FusedFeatureLossTests.Close(expected, actual, rounding);
                // Gradients in float16 may be infinite or subnormal.
                FusedFeatureLossTests.Close(expectedGradient.To(dtype), gradient, 10 * rounding, storage, quantum);
            }
        }
    }

    /// <summary>Results of the device's kernel, as CPU tensors.</summary>
    private static (FeatureTerms Terms, Tensor Gradient) OnDevice(Device device, Tensor target, Tensor estimate, FeatureSettings settings)
    {
        var (f, g) = (target.To(device), estimate.To(device));
        Assert.True(FusedFeatureLoss.Supports(f, settings));
        var (terms, gradient) = FusedFeatureLossTests.Run(FusedFeatureLoss.Compare, f, g, settings);
        return (
            new FeatureTerms(
                terms.Loss.Detach().To(Device.Cpu),
                terms.Kept.To(Device.Cpu),
                terms.SquaredError.To(Device.Cpu),
                terms.TargetVariance.To(Device.Cpu),
                terms.EstimateVariance.To(Device.Cpu)
            ),
            gradient.To(Device.Cpu)
        );
    }
}
