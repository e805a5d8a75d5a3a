// The number of live tensors and the thread settings belong to the process, so tests run sequentially.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
