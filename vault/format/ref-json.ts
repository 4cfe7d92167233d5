import type { BlobRef } from './blob';

/** A reference as it stands in manifests and records. */
export interface BlobRefJson {
  readonly id: string;
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
}

export const refToJson = (ref: BlobRef): BlobRefJson => ({ id: ref.id.toString('hex'), pack: ref.pack, offset: ref.offset, length: ref.length });
export const refFromJson = (json: BlobRefJson): BlobRef => ({ ...json, id: Buffer.from(json.id, 'hex') });
