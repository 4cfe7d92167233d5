import { z } from 'zod';

/** A reference as records and manifests hold it (BlobRefJson). Apart from the conversions, because transfer threads need those alone and would load all of zod for this. */
export const blobRefSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  pack: z.string().regex(/^[0-9a-f]{32}$/),
  offset: z.int().min(0),
  length: z.int().min(1),
});
