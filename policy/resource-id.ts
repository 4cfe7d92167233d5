/** The parts of a virtual machine's resource id, as written. */
export interface VmResourceId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

// Fixed parts of a resource id are case-insensitive. A resource group has 1 to 90 letters, digits, `_ - . ( )` and
// does not end in a period. Source: Azure Resource Manager, naming rules.
const VM_ID = /^\/subscriptions\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/resourceGroups\/([\p{L}\p{N}_.()-]{0,89}[\p{L}\p{N}_()-])\/providers\/Microsoft\.Compute\/virtualMachines\/([\p{L}\p{N}_](?:[\p{L}\p{N}_.-]{0,78}[\p{L}\p{N}_])?)$/iu;

/** How a resource id of a VM looks, for messages. */
export const VM_ID_SHAPE = '/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>';

/** The parts of a VM's resource id, or null when the text is anything else (a longer or shorter id included). */
export function parseVmResourceId(id: string): VmResourceId | null {
  const match = VM_ID.exec(id);
  const [, subscriptionId, resourceGroup, name] = match ?? [];
  if (subscriptionId === undefined || resourceGroup === undefined || name === undefined) return null;
  return { subscriptionId, resourceGroup, name };
}

/** The form in which two resource ids are compared: Azure treats them as case-insensitive. */
export function resourceIdKey(id: string): string {
  return id.toLowerCase();
}
