import { z } from 'zod';

/**
 * What a person asks of a restore: the body of POST /api/recovery-points/{id}/restores. Names are the caller's and are parsed strictly; nothing here
 * is an address that the app would call.
 */
export const RESTORE_ID = /^[a-z0-9][a-z0-9-]{0,39}$/;
const restoreId = z.string().regex(RESTORE_ID, 'expects 1 to 40 characters of a-z, 0-9 and -, beginning with a letter or a digit');
const resourceName = z.string().regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/, 'expects 1 to 80 letters, digits, _, . and -');
const vmName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$/, 'expects 1 to 64 letters, digits and -');
const subscriptionId = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'expects the id of a subscription');
const resourceGroup = z.string().min(1).max(90).regex(/^[\p{L}\p{N}_.()-]*[\p{L}\p{N}_()-]$/u, 'expects the name of a resource group');
const resourceId = z.string().max(1000).regex(/^\/subscriptions\/[^\s?#%]+$/i, 'expects a full resource id, which begins with /subscriptions/');
const diskName = z.string().min(1).max(120);
const zone = z.string().regex(/^[1-9]$/, 'expects the number of an availability zone');
const sku = z.string().regex(/^[A-Za-z0-9_]{1,40}$/, 'expects the name of a kind of disk, for instance Premium_LRS');
const location = z.string().regex(/^[a-z0-9]{1,40}$/, 'expects the name of a region, for instance westeurope');

/** Where new resources go; what is left out is as at the source. */
const place = { subscriptionId: subscriptionId.optional(), resourceGroup: resourceGroup.optional(), location: location.optional(), zone: zone.nullable().optional() };
/** Of the OS disk; needed only where the recovery point does not say it. */
const generation = z.enum(['V1', 'V2']).optional();

const network = z.union([
  z.strictObject({ nicIds: z.array(resourceId).min(1).max(8) }),
  z.strictObject({ subnetId: resourceId, nicName: resourceName.optional(), securityGroupId: resourceId.nullable().optional() }),
]);

export const restoreTargetSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('disk'), disk: diskName.optional(), name: resourceName, sku: sku.optional(), hyperVGeneration: generation, ...place }),
  z.strictObject({
    kind: z.literal('vm'), name: vmName, network, size: z.string().regex(/^[A-Za-z0-9_-]{1,60}$/, 'expects the name of a VM size').optional(),
    disks: z.array(diskName).min(1).max(65).optional(), availabilitySetId: resourceId.optional(), sku: sku.optional(), hyperVGeneration: generation,
    /** Trusted Launch is carried over unless 'standard' is asked for. */
    security: z.enum(['as-recorded', 'standard']).default('as-recorded'), ...place,
  }),
  z.strictObject({
    kind: z.literal('in-place'), vmId: resourceId.optional(), disks: z.array(diskName).min(1).max(65).optional(), keepOldDisks: z.boolean().default(true), sku: sku.optional(), hyperVGeneration: generation,
    /** What the present disks have in common with the recovery point is copied out of them by Azure, and only the difference comes from the vault. */
    differential: z.boolean().default(false),
  }),
  z.strictObject({
    kind: z.literal('page-blob'), disk: diskName.optional(), account: z.string().regex(/^[a-z0-9]{3,24}$/, 'expects the name of a storage account'),
    container: z.string().regex(/^[a-z0-9-]{3,63}$/, 'expects the name of a container'), blob: z.string().min(1).max(1000),
    /** The blob is there already, and only what differs is written. */
    differential: z.boolean().default(false),
  }),
]);
export type RestoreTarget = z.infer<typeof restoreTargetSchema>;

export const restoreBodySchema = z.strictObject({
  /** Chosen by the caller, so that asking twice starts one job. */
  id: restoreId.optional(),
  /** Answers the plan and does nothing. */
  dryRun: z.boolean().default(false),
  target: restoreTargetSchema,
});
