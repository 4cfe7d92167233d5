/** Every magic, size and limit of the vault format, version 1 (docs/vault-format.md). Derived sizes are derived. */
export const FORMAT_VERSION = 1;

export const BLOCK_BYTES = 4096;
export const WINDOW_BLOCKS = 16_384;
export const WINDOW_BYTES = WINDOW_BLOCKS * BLOCK_BYTES;
export const REGION_WINDOWS = 1_024;
export const REGION_BYTES = REGION_WINDOWS * WINDOW_BYTES;
export const ROOT_REGIONS = 1_024;
export const MAX_DISK_BYTES = ROOT_REGIONS * REGION_BYTES;

export const MIN_CHUNK_BLOCKS = 4;
export const MAX_CHUNK_BLOCKS = 64;
export const MAX_CHUNK_BYTES = MAX_CHUNK_BLOCKS * BLOCK_BYTES;
/** One block in thirteen ends a chunk that is long enough, which makes chunks of about 64 KiB. */
export const CUT_BELOW = Math.floor(2 ** 32 / 13);

export const ID_BYTES = 32;
export const PACK_ID_BYTES = 16;
export const VAULT_ID_BYTES = 16;
export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

export const PACK_MAGIC = Buffer.from('HFPACK\r\n', 'latin1');
export const PACK_END_MAGIC = Buffer.from('HFEND\r\n\x1a', 'latin1');
export const PACK_HEADER_BYTES = 48;
export const PACK_TRAILER_BYTES = 16;
export const BLOB_OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
export const FOOTER_ENTRY_BYTES = ID_BYTES + 12;
/** A pack is closed when the next blob would take it beyond this. */
export const DATA_PACK_TARGET_BYTES = 8 * 1024 * 1024;
export const META_PACK_TARGET_BYTES = 2 * 1024 * 1024;
/** No pack is larger, whoever wrote it: what a reader is ready to hold. */
export const PACK_LIMIT_BYTES = 256 * 1024 * 1024;

export const enum PackKind { data = 1, meta = 2 }
export const enum BlobKind { chunk = 1, node = 2, footer = 3, hooks = 4 }
export const enum Codec { none = 0, zstd = 1 }

export const LEAF_MAGIC = Buffer.from('HFLF', 'latin1');
export const INNER_MAGIC = Buffer.from('HFIN', 'latin1');
export const HOOKS_MAGIC = Buffer.from('HFHK', 'latin1');
export const LEAF_HEADER_BYTES = 16;
export const INNER_HEADER_BYTES = 36;
export const ZERO_RUN_PACK = 0xffff;
/** Nodes and hooks are never larger than this in plain: a bound for parsers. */
export const NODE_LIMIT_BYTES = 16 * 1024 * 1024;
/** A chunk is a hook when the first byte of its id is below this: one in 64. */
export const HOOK_BELOW = 4;
export const HOOK_PREFIX_BYTES = 8;

export const DOCUMENT_MAGIC = Buffer.from('HFDC', 'latin1');
export const DOCUMENT_HEADER_BYTES = 8;
export const DOCUMENT_LIMIT_BYTES = 64 * 1024 * 1024;
