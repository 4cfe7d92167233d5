/** How much of one backup runs at once. Transfers within a region are the policy's limits.maxParallelTransfers. */
export const PARALLEL_DISKS = 3;
export const PARALLEL_REGIONS = 2;
