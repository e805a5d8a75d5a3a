// The count of live tensors and the thread settings belong to the process, so tests run one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
