/** Every bound of a policy document in one place. */

/** A document is edited by hand and read on each timer tick: 64 KiB holds about 400 resource ids. */
export const MAX_POLICY_BYTES = 64 * 1024;
/** The deepest valid document has 5 levels; the rest is room to name the wrong field rather than the depth. */
export const MAX_POLICY_DEPTH = 12;
/** Two slots of one policy are at least this far apart: a run needs some minutes for its snapshot alone. */
export const MIN_SLOT_GAP_MINUTES = 5;
/** Times of day written out in one `at` list. */
export const MAX_TIMES_A_DAY = 100;
export const MAX_RESOURCE_IDS = 500;
/** Azure allows 50 tags on a resource, keys of 512 and values of 256 characters. Source: Azure Resource Manager, tag limits. */
export const MAX_TAGS = 50;
export const MAX_TAG_KEY_CHARS = 512;
export const MAX_TAG_VALUE_CHARS = 256;
/** The largest VM sizes take 64 data disks, so a LUN is 0 to 63. */
export const MAX_LUN = 63;
export const MAX_DISK_RULES = 100;
/** As many recovery points as any peer keeps for one item. */
export const MAX_KEEP_COUNT = 9999;
export const MAX_KEEP_DAYS = 36_500;
export const MAX_BANDWIDTH_MIB_PER_SECOND = 100_000;
export const MAX_RUN_HOURS = 168;
/** A document can be wrong in thousands of places; the answer stays readable. */
export const MAX_FIELDS_REPORTED = 200;
