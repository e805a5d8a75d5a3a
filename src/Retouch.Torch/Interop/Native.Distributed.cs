using System.Runtime.InteropServices;

namespace Retouch.Torch.Interop;

/// <summary>The part of the C ABI for processes that train together.</summary>
internal static unsafe partial class Native
{
    [LibraryImport(Library, EntryPoint = "rt_distributed_reason", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int DistributedReason(string backend, nint* text);

    [LibraryImport(Library, EntryPoint = "rt_store_new", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StoreNew(string host, int port, int serves, string prefix, long timeoutMs, nint* store);

    [LibraryImport(Library, EntryPoint = "rt_store_port")]
    public static partial int StorePort(nint store);

    [LibraryImport(Library, EntryPoint = "rt_store_free")]
    public static partial void StoreFree(nint store);

    [LibraryImport(Library, EntryPoint = "rt_store_set", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StoreSet(nint store, string key, byte* data, long n);

    [LibraryImport(Library, EntryPoint = "rt_store_get", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StoreGet(nint store, string key, long timeoutMs, nint* data, long* n);

    [LibraryImport(Library, EntryPoint = "rt_store_has", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StoreHas(nint store, string key, int* found);

    [LibraryImport(Library, EntryPoint = "rt_store_add", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StoreAdd(nint store, string key, long amount, long* sum);

    [LibraryImport(Library, EntryPoint = "rt_group_new", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int GroupNew(
        nint store,
        string backend,
        string name,
        int rank,
        int size,
        long timeoutMs,
        string address,
        nint* group
    );

    [LibraryImport(Library, EntryPoint = "rt_group_free")]
    public static partial void GroupFree(nint group);

    [LibraryImport(Library, EntryPoint = "rt_group_all_reduce")]
    public static partial int GroupAllReduce(nint group, nint tensor, int maximum);

    [LibraryImport(Library, EntryPoint = "rt_group_broadcast")]
    public static partial int GroupBroadcast(nint group, nint tensor, int root);

    [LibraryImport(Library, EntryPoint = "rt_group_all_gather")]
    public static partial int GroupAllGather(nint group, nint tensor, nint* outputs, int n);

    [LibraryImport(Library, EntryPoint = "rt_group_barrier")]
    public static partial int GroupBarrier(nint group);

    [LibraryImport(Library, EntryPoint = "rt_buckets_new")]
    public static partial int BucketsNew(nint group, nint* parameters, int n, long bytes, int* owners, nint* buckets);

    [LibraryImport(Library, EntryPoint = "rt_buckets_free")]
    public static partial void BucketsFree(nint buckets);

    [LibraryImport(Library, EntryPoint = "rt_buckets_count")]
    public static partial long BucketsCount(nint buckets);

    [LibraryImport(Library, EntryPoint = "rt_buckets_arm")]
    public static partial int BucketsArm(nint buckets);

    [LibraryImport(Library, EntryPoint = "rt_buckets_flush")]
    public static partial int BucketsFlush(nint buckets, long* sent);

    [LibraryImport(Library, EntryPoint = "rt_buckets_finish")]
    public static partial int BucketsFinish(nint buckets, int last);
}
