/**
 * Every failure that a user can see, by code: what it means, what to do, and how HTTP and scripts see it.
 * Messages say what happened this time; the catalogue says what to do about it.
 */
export interface CatalogueEntry {
  /** What this failure means, in one sentence. */
  readonly title: string;
  /** What a person does next. */
  readonly remedy: string;
  /** HTTP status of the problem details. */
  readonly status: number;
  /** Exit code of the command line: 1 failed, 2 wrong usage, 3 not found, 4 damaged data, 5 key or sign-in refused, 6 busy. */
  readonly exitCode: number;
}

const entry = (title: string, remedy: string, status: number, exitCode = 1): CatalogueEntry => ({ title, remedy, status, exitCode });

export const catalogue = {
  // Anything unforeseen
  NODE_TOO_OLD: entry('This Node is too old', 'Run `npm ci`, which brings a newer Node on Linux x64, and start with `npm start`; elsewhere install Node 22.15 or newer.', 500),
  INTERNAL: entry('Something went wrong inside Holdfast', 'Run it again; if it fails the same way, report it with the message and the job id.', 500),

  STEP_TIMEOUT: entry('A step of the job did not come to an end', 'Run it again. If it happens again, look in the app\'s log for what the step was doing, and at the network between the app, Azure and the vault.', 504),

  // Stores: where the vault's objects lie
  STORE_OBJECT_NOT_FOUND: entry('An object of the vault is not there', 'Check that the vault address is right and that nothing was deleted by hand; `holdfast check` says which recovery points need it.', 404, 4),
  STORE_RANGE: entry('An object of the vault is shorter than it should be', 'The object is truncated: run `holdfast check` to see which recovery points it touches, then `holdfast backup --full`, which takes nothing over.', 500, 4),
  STORE_UNREACHABLE: entry('The vault cannot be reached', 'Check the address, the network and the permissions, then run it again.', 503),
  STORE_ACCESS_DENIED: entry('The vault refused access', 'Give the identity back its role on the container (infra/ has one for each duty; a vault made by hand: Storage Blob Data Contributor), look at the network rules of the account, or give the user write permission on the folder.', 403),
  STORE_READ_ONLY: entry('The vault is read-only', 'Make the folder or the container writable; nothing was stored and earlier recovery points are untouched.', 503),
  STORE_FULL: entry('The vault has no space left', 'Free or add space, then run it again; nothing half-written is visible.', 507),
  STORE_IMMUTABLE: entry('The object is held against deletion', 'Nothing to do: it can be deleted when its time is over, which the message names where it is known. Trying again before that changes nothing.', 409),
  RETENTION_UNSUPPORTED: entry('The vault cannot hold single objects against deletion', 'Put the vault into a container with version-level immutability, or leave HOLDFAST_LOCK_DAYS away: docs/worm.md says what is needed.', 409, 2),
  STORE_THROTTLED: entry('The vault kept refusing requests because there were too many', 'Lower the parallelism in the policy, or run it again later.', 503),

  // The vault
  VAULT_NOT_FOUND: entry('There is no vault at this address', 'Check --vault or HOLDFAST_VAULT; `holdfast init` makes a new vault.', 404, 3),
  VAULT_IN_USE: entry('Another app uses this vault', 'Stop the other one, or give this one a vault of its own with --vault; one app a vault keeps jobs from standing in each other\'s way.', 409, 6),
  VAULT_EXISTS: entry('There is a vault at this address already', 'Use it as it is, or choose another address; an existing vault is never overwritten.', 409, 2),
  VAULT_NEWER_FORMAT: entry('The vault has a newer format than this version of Holdfast', 'Install a newer Holdfast; this one neither reads nor writes it, so nothing was changed.', 409),
  VAULT_DAMAGED: entry('A document of the vault is damaged', 'Run `holdfast check`; what does not depend on this document can still be restored.', 500, 4),
  KEY_NOT_FOUND: entry('The key file is not there', 'Name it with --key or HOLDFAST_KEY; without the key nothing in the vault can be restored.', 401, 5),
  KEY_MALFORMED: entry('The key file is not a Holdfast key', 'It holds one line that starts with holdfast-key-v1: and was written by `holdfast init`.', 401, 5),
  KEY_REFUSED: entry('The key does not open this vault', 'Use a key of this vault (`holdfast key list` shows which there are); nothing was read or written.', 401, 5),
  KEY_VAULT_ID: entry('This is not the id of a key in Azure Key Vault', 'Give it as the portal shows it: https://VAULT.vault.azure.net/keys/NAME, with /VERSION where a certain one is meant.', 400, 2),
  KEY_VAULT_DENIED: entry('Azure Key Vault refused access to the key', 'Give the identity back its role on the key (infra/ has one; made by hand: Key Vault Crypto Service Encryption User), and look at the network rules of the Key Vault; nothing was read or written.', 403, 5),
  KEY_VAULT_KEY_GONE: entry('The key is not in Azure Key Vault, or was deleted', 'Recover it (deleted keys and vaults are kept for their retention time), or open the vault with its escrow key: docs/keys.md says how.', 404, 5),
  KEY_VAULT_KEY_UNUSABLE: entry('The key in Azure Key Vault is disabled, or not valid now', 'Enable this very version of the key again, or open the vault with its escrow key: docs/keys.md says how.', 403, 5),
  KEY_VAULT_THROTTLED: entry('Azure Key Vault kept refusing requests because there were too many', 'Wait a little and run it again; look for what else uses the same Key Vault.', 503),
  KEY_VAULT_UNREACHABLE: entry('Azure Key Vault cannot be reached', 'Check the name, the network, DNS and the firewall of the Key Vault, then run it again; nothing was read or written.', 503),
  PASSPHRASE_NOT_GIVEN: entry('The passphrase was not given', 'Set HOLDFAST_PASSPHRASE, name a file with --passphrase-file, or run it in a terminal, which asks for it.', 401, 5),
  PASSPHRASE_WEAK: entry('The passphrase is too easy to guess', 'Take several words chosen by chance: whoever has a copy of the vault can try passphrases as fast as their machines allow.', 400, 2),
  KEY_UNKNOWN: entry('The vault has no such key', '`holdfast key list` shows which there are.', 404, 3),
  KEY_LAST: entry('Without this key the vault might be locked for ever', 'Add another key first, or have one of the other keys at hand, so that it is proved to open the vault before this one goes.', 409, 2),
  KEY_TEST_FAILED: entry('A key that should open the vault does not', 'Do not remove any other key. docs/keys.md says what to do for each kind of key; add a new key while one still opens the vault.', 500, 5),
  VAULT_NOT_ENCRYPTED: entry('The vault was made without encryption', 'Its master key is known to all who can read it, so a key would protect nothing: make a new vault with a key.', 409, 2),
  CONFIRMATION_NEEDED: entry('This takes something away for good and was not confirmed', 'Look at what it would do, then repeat it with the confirmation that the message names; on the command line that is --yes.', 409, 2),
  DOCUMENT_DAMAGED: entry('A sealed document does not open', 'It was changed, moved or written with another key. Run `holdfast check`; other recovery points are not affected.', 500, 4),
  PACK_DAMAGED: entry('A pack of the vault is damaged', 'Run `holdfast check` to see which recovery points need it; `holdfast backup --full` stores everything anew, taking nothing over.', 500, 4),
  PACK_MISSING: entry('A pack of the vault is missing', 'Bring the object back if the store keeps deleted ones; `holdfast check` says which recovery points need it, and `holdfast backup --full` stores everything anew.', 500, 4),
  NODE_DAMAGED: entry('A node of a disk tree is damaged', 'Run `holdfast check` to see which recovery points need it; older and newer ones may be whole.', 500, 4),
  WRITE_NOT_VERIFIED: entry('What was to be stored did not decode to what was read', 'Nothing was stored. Suspect the memory of this machine; run it again, elsewhere if you can.', 500),

  // Disks and images
  SOURCE_CHANGED: entry('The disk changed while it was read', 'Take a snapshot and back that up, or stop what writes to the image; nothing of this run is visible.', 409),
  SOURCE_TOO_LARGE: entry('The disk is larger than the format allows', 'The largest disk is 64 TiB: spread the data over several disks, or back it up from inside the machine.', 400, 2),
  RANGES_INVALID: entry('The list of changed ranges is wrong', 'It is a JSON array of {"offset": …, "length": …}, whole numbers of bytes within the disk.', 400, 2),

  // Runs and recovery points
  RUN_IN_PROGRESS: entry('Another run of this item is under way', 'Wait for it to end; the message names it.', 409, 6),
  RUN_ABANDONED: entry('The run was given up', 'Another process gave this run up because its time was over. Start a new backup.', 409),
  SLOT_TAKEN: entry('This slot has a recovery point already', 'Nothing to do: the backup of this slot exists.', 409, 6),
  RECOVERY_POINT_NOT_FOUND: entry('There is no such recovery point', '`holdfast list` shows what there is.', 404, 3),
  RECOVERY_POINT_DELETED: entry('This recovery point was deleted', 'One in the bin comes back with `holdfast undelete`; one that is gone for good does not. `holdfast list` shows what else there is.', 410, 3),
  RECOVERY_POINT_HELD: entry('This recovery point is under a legal hold', 'It stays until each hold is released: `holdfast release RECOVERY-POINT --label LABEL`.', 409),
  MAINTENANCE_RUNNING: entry('The vault is being maintained already', 'Wait for it to end: GET /api/vault/maintenance shows how far it is. One runs at a time.', 409, 6),
  COLLECTION_REFUSED: entry('Nothing was deleted, because it is not certain what is needed', 'The message says what does not fit. Run `holdfast check`; until it is clear, the vault only grows, and nothing is lost.', 409, 4),
  COLLECTION_ABNORMAL: entry('A plan that would delete unusually much waits for a person', 'Look at it with `holdfast collect --dry-run`. If it is right, repeat the collection with `--approve` and the token that the message names.', 409),
  LAST_RECOVERY_POINT: entry('This is the last good recovery point of the item', 'The last good one always stays. Make a newer one first, and check it.', 409),
  RETENTION_REFUSED: entry('Retention would delete more than it should', 'Look at what would go with `holdfast retention --preview`. If that is right, approve it: repeat the command with --approve and the token from the message.', 409),
  RECOVERY_POINT_NOT_DUE: entry('This recovery point is not due to go', 'Nothing to do: it stays until its time in the bin is over.', 409),
  HOLD_NOT_FOUND: entry('The recovery point has no such hold', '`holdfast show` names its holds; a hold is released by its own label.', 404, 3),
  CLOCK_WRONG: entry('The clock of this machine is wrong', 'Set it by the network (NTP). Backups go on; what deletes by age refuses until the clock agrees with the vault\'s.', 409),
  ITEM_NOT_FOUND: entry('There is no such item', '`holdfast items` shows what is in the vault; GET /api/items what can be protected.', 404, 3),
  ITEM_OVERDUE: entry('An item has no recovery point that is as new as its policy wants', 'Look at the item\'s last jobs: they say why none was made. If there are none, the scheduler or the app did not run. Back it up now when the cause is gone.', 409),
  ITEM_UNPROTECTED: entry('No policy covers a machine', 'Let a policy cover it, by its tags or its id; a machine without one has no backups.', 409),
  ITEM_UNPROVED: entry('Nothing of an item was read back and proved for longer than a round', 'Look at the scrubs: each round reads everything once. `holdfast scrub --all` proves all that is left of the round.', 409),
  MAINTENANCE_OVERDUE: entry('The vault was not maintained for days', 'Look at why the daily maintenance does not run: until it does, nothing expires and locks are not prolonged. POST /api/vault/maintenance starts one.', 409),
  DISK_NOT_FOUND: entry('The recovery point has no such disk', '`holdfast show` lists its disks.', 404, 3),
  ITEM_AMBIGUOUS: entry('The vault has several items', 'Name one with --item; `holdfast items` lists them.', 400, 2),
  DISK_AMBIGUOUS: entry('The recovery point has several disks', 'Name one with --disk, by its name or its lun; `holdfast show` lists them.', 400, 2),
  TARGET_EXISTS: entry('The target exists', 'Choose another name, or remove it first: nothing is overwritten unasked.', 409, 2),
  TARGET_WRITE_FAILED: entry('The target cannot be written', 'Check free space and permissions; what was written so far is incomplete and was removed.', 507),
  TARGET_NOT_VERIFIED: entry('What was written does not read back as it should', 'The target is not to be used. Suspect its disk or the memory of this machine; restore again, to another place if you can.', 500),
  TARGET_TOO_SMALL: entry('The target is smaller than the disk', 'Restore to a new target, or to one that has room for the whole disk.', 409, 2),
  RESTORE_ABANDONED: entry('The restore was given up', 'It was cancelled, failed or took too long, and what it made is removed; the job says why. Start a new one.', 409),
  RESTORE_ID_TAKEN: entry('There is another restore of this id', 'Choose another id, or leave it out; GET /api/jobs/restore.ID shows the one that has it.', 409, 2),
  RESTORE_UNSUPPORTED: entry('This cannot be restored in this way', 'The message says why and what can be done instead; a disk or a file can always be restored.', 409, 2),
  RESTORE_DAMAGED: entry('The recovery point cannot be restored whole', 'Restore one of the recovery points that the message names; `holdfast check` says what is damaged, and the next backup stores it again where the source still has it.', 409, 4),
  CANCELLED: entry('The run was cancelled', 'Nothing of it is visible; start it again when you like.', 409),

  NOTHING_TO_PROTECT: entry('None of the machine\'s disks can be protected', 'The message says why for each disk; change the policy\'s exclusions or the disks.', 409),
  CONSISTENCY_NOT_REACHED: entry('The snapshot is weaker than the policy demands', 'Look after the guest (VSS writers on Windows, the agent and scripts on Linux), or set onWeakerConsistency to accept.', 409),
  SNAPSHOT_FAILED: entry('Azure could not make the snapshot', 'The message has the reason that Azure gave. Nothing was stored; the next run tries again.', 502),
  SNAPSHOT_TIMEOUT: entry('The snapshot was not ready in time', 'Large disks are copied in the background after a snapshot; look at its progress in Azure, then run it again.', 504),
  // Inside the guest: the snapshot extension, its agent, and scripts
  GUEST_AGENT_NOT_READY: entry('The agent in the machine does not answer', 'Look at the VM agent: on Windows the services WindowsAzureGuestAgent and RdAgent, on Linux walinuxagent (waagent). A machine that is off has none; with onWeakerConsistency "accept" it is backed up crash-consistent.', 502),
  GUEST_VSS_FAILED: entry('A VSS writer in the machine failed', 'On the machine `vssadmin list writers` names the writer that is not stable: restart its service, free space on its volumes, then run it again.', 502),
  SNAPSHOT_LIMIT: entry('A limit for snapshots of the disk is reached', 'Delete snapshots of the disk that are no longer needed (those of Holdfast carry its tags), or wait: too many in a short time are refused too.', 409),
  GUEST_COM_FAILED: entry('COM+ on the machine does not work, which snapshots need', 'Restart the service COM+ System Application (COMSysApp) on the machine, and the machine if that does not help; Distributed Transaction Coordinator has to run too.', 502),
  MACHINE_CHANGED: entry('The machine was changed while its snapshot was made', 'Run the backup again when no disk is being attached or detached: it starts from the machine as it is now.', 409),
  DISK_KEY_UNAVAILABLE: entry('The key vault of a disk\'s encryption set is not there', 'Recover the key vault and the key that the disk encryption set names (deleted ones are kept for their retention time), then run it again.', 409),
  DISK_ENCRYPTION_UNSUPPORTED: entry('The disks are encrypted in a way that a backup cannot take along', 'A confidential machine\'s disks open with its own virtual TPM only: back up its data from inside the machine.', 409),
  GUEST_FREEZE_FAILED: entry('The file systems of the machine could not be frozen', 'Look at /var/log/azure/Microsoft.Azure.RecoveryServices.VMSnapshotLinux and dmesg on the machine: usually a mount that hangs or an error of the file system. Leave such a mount out in /etc/azure/vmbackup.conf (MountsToSkip).', 502),
  GUEST_FREEZE_TIMEOUT: entry('The file systems of the machine took too long to freeze', 'Run it when the machine writes less, or raise the timeout in /etc/azure/vmbackup.conf (default 60 seconds).', 504),
  GUEST_NO_NETWORK: entry('The machine cannot reach its storage account', 'Let the machine reach the storage account of its disks over HTTPS: look at network security groups, routes, a proxy, and the firewall of the account.', 502),
  GUEST_TOO_LATE: entry('The machine got the request for a snapshot too late', 'Its agent was busy or its clock is wrong: set the clock right, look at the agent\'s log, then run it again.', 504),
  GUEST_NO_ANSWER: entry('The machine never said how the snapshot went', 'Look at the VM agent and at the log of the extension VMSnapshot or VMSnapshotLinux on the machine, and whether it can reach the storage account of its disks.', 504),
  GUEST_SCRIPT_FAILED: entry('A script around the snapshot failed', 'The message says which, and how it ended. Run it by hand on the machine as root; for the extension\'s own scripts look at /etc/azure/VMSnapshotScriptPluginConfig.json: owner root, mode 600.', 502),
  GUEST_SNAPSHOT_FAILED: entry('The snapshot extension in the machine failed', 'The message has the code that the extension gave; its log on the machine says more. Nothing was stored; the next run tries again.', 502),
  DISK_REPLACED: entry('A disk was replaced while it was backed up', 'Run the backup again: it starts from the machine as it is now.', 409),
  POLICY_NOT_FOUND: entry('There is no such policy', 'GET /api/policies lists them.', 404, 3),
  NOTIFICATIONS_INVALID: entry('The notifications were refused', 'Correct the named targets; docs/notifications.md explains them. What was in force stays.', 400, 2),
  NOTIFICATIONS_CHANGED: entry('The notifications were changed by someone else meanwhile', 'Read them again and apply your change to what they are now.', 412),
  NOTIFICATION_NOT_FOUND: entry('There is no such notification', '`GET /api/notifications/deliveries` lists those that are kept, and `GET /api/notifications` the targets.', 404, 3),
  PRICES_CHANGED: entry('The prices were changed by someone else meanwhile', 'Read them again and apply your change to what they are now.', 412),
  POLICY_CHANGED: entry('The policy was changed by someone else meanwhile', 'Read it again and apply your change to what it is now.', 412),
  SELECTION_BY_TAGS: entry('The policy excludes the machine by its tags', 'Change the tags of the machine, or excludeTags in the policy; or protect it with another policy.', 409, 2),
  SELECTION_EMPTY: entry('The policy would cover nothing any more', 'Disable or delete the policy instead; recovery points stay either way.', 409, 2),
  EXPORT_NOT_FOUND: entry('There is no such export, or its time is over', 'Begin it again with POST /api/recovery-points/ID/exports: it is open for a day, and only for whoever began it.', 404, 3),
  EXPORT_RANGE: entry('A part of a disk cannot be had like this', 'Ask for one range within the disk, of at most the partBytes that the export named.', 416, 2),
  RESTORE_NOT_FOUND: entry('There is no such restore', 'GET /api/restores lists them; a restore that was a dry run leaves nothing.', 404, 3),
  ERROR_UNKNOWN: entry('There is no such error', 'GET /api/errors lists them; another version of Holdfast may have others.', 404, 3),
  JOB_NOT_FOUND: entry('There is no such job', 'GET /api/jobs lists the recent ones.', 404, 3),
  REQUEST_INVALID: entry('The request is wrong', 'The message names what is wrong with it.', 400, 2),
  PORTAL_FILE_NOT_FOUND: entry('The portal has no such file', 'Open the portal at the root of the app. Where it is not there either, the app was built without it: `npm run build` builds both.', 404, 3),
  IDEMPOTENCY_KEY_REUSED: entry('This Idempotency-Key was given with another request', 'Draw a new key for each request; repeat a request with its own key and its own body only.', 422, 2),
  REQUEST_IN_PROGRESS: entry('The same request is being carried out', 'Repeat it in some seconds with the same Idempotency-Key: it then gets the answer of the first. If the app was stopped in the middle of it, that takes ten minutes.', 409, 6),
  REQUEST_TOO_LARGE: entry('The request is too large', 'A body has at most 64 KiB.', 413, 2),
  SETTING_INVALID: entry('A setting is missing or wrong', 'The message names the setting and what it expects; docs/settings.md explains each.', 500, 2),

  // Who is calling
  UNAUTHENTICATED: entry('The app does not know who is calling', 'Sign in: with Entra ID in Azure (`az login` for the command line), with the token that `npm start` printed on one machine. docs/access.md says how.', 401, 5),
  IDENTITY_UNREACHABLE: entry('Entra ID cannot be asked for the keys that prove who is calling', 'Let the app reach login.microsoftonline.com (or the address in HOLDFAST_AUTH_AUTHORITY) over HTTPS; who was signed in by the portal is let in all the same.', 503),
  REQUEST_FOREIGN: entry('A page of another site made this request', 'Open the app by the address that it has itself, and act there. Programs send a token (docs/access.md); a browser that says nothing of where a request comes from is too old.', 403),
  REQUEST_LIMIT: entry('One caller asks too much at once', 'Wait as long as the answer says (Retry-After), then go on more slowly; the setting HOLDFAST_REQUESTS_PER_MINUTE raises the limit.', 429, 6),
  APPROVAL_NEEDED: entry('This needs a second person', 'Have another Admin approve it: in the portal, or with `holdfast approval approve ID`. It is carried out then, as it was asked for.', 409),
  FORBIDDEN: entry('The caller may not do this', 'Have an administrator of Entra ID assign the role that the message names (docs/access.md), or ask somebody who has it.', 403, 5),

  // The cloud that runs the machines
  CLOUD_NOT_FOUND: entry('The machine, disk or snapshot is not there', 'Check the name; if it was deleted, its recovery points in the vault are still good.', 404, 3),
  CLOUD_ACCESS_DENIED: entry('Azure refused the request', 'Give the backup identity the role from infra/ on the resource group of the machine and of the snapshots.', 403),
  CLOUD_THROTTLED: entry('Azure kept refusing requests because there were too many', 'Lower maxParallelVms in the policy or move its schedule away from others; the next run tries again.', 503),
  CLOUD_CONFLICT: entry('Azure is busy with another operation on this resource', 'Wait for the other operation to end; the next run tries again.', 409, 6),
  CLOUD_QUOTA: entry('A limit of the subscription is reached', 'Raise the quota or delete what is no longer needed; the message names the limit.', 409),
  CLOUD_UNREACHABLE: entry('Azure cannot be reached', 'Check the network, DNS and firewall rules of the app; the next run tries again.', 503),
  CLOUD_ACCESS_LIMIT: entry('Too many snapshots of one disk are open for reading', 'At most 5 snapshots of a disk may be open at once. The run waited for a place until its time was over: find what else exports snapshots of this disk, and end access that nobody needs any more.', 409, 6),
  CLOUD_ACCESS_EXPIRED: entry('Access to a snapshot expired and could not be renewed', 'Check whether someone ended the access or deleted the snapshot; the next run starts anew.', 503),
  CLOUD_DIFF_UNSUPPORTED: entry('Azure cannot compare the two snapshots', 'Nothing to do: the disk is read whole and compared by hash.', 409),
  CLOUD_FAILED: entry('An Azure operation failed', 'The message has the code that Azure gave; look it up in the troubleshooting page of the resource.', 502),

  // Restores into the cloud
  TARGET_NOT_ALLOWED: entry('Restores may not write there', 'Choose a storage container that the setting HOLDFAST_RESTORE_CONTAINERS names, or have an administrator add it.', 403, 2),
  CLOUD_SKU_UNAVAILABLE: entry('The region does not have this size', 'Choose another size, disk type, zone or region; the message says what Azure offers. Nothing was made.', 409, 2),
  CLOUD_STATE_WRONG: entry('A disk or machine is not in the state that this step needs', 'The message says which state it is in and which is needed; put it right in Azure, then start the restore again.', 409),

  // Policies and the names of protected items
  POLICY_INVALID: entry('The policy document is wrong', 'Correct the fields that the message names (docs/policies.md explains each) and send it again; the policy in force is unchanged.', 400, 2),
  PRICES_INVALID: entry('The price file was refused', 'Correct the named fields; docs/cost-model.md explains them. What was in force stays.', 400, 2),
  ITEM_NAME_INVALID: entry('This is not the name of a protected item', 'Use 1 to 40 characters of a-z, 0-9 and -, beginning with a letter or a digit; `holdfast items` lists the items there are.', 400, 2),
  // Stores: what a caller or the storage beneath got wrong
  STORE_NAME: entry('A name does not fit the vault', 'Names are parts of letters, digits, `.`, `_` and `-`, with `/` between them; report it with the message if you did not choose the name.', 400, 2),
  STORE_FAILED: entry('The storage of the vault failed', 'The message has what the disk or the service said; check its health, then run it again. Nothing half-written is visible.', 502),
  VAULT_ADDRESS: entry('The vault address cannot be understood', 'Give a folder, file:///folder, or https://ACCOUNT.blob.core.windows.net/CONTAINER, with an access signature after `?` where one is needed.', 400, 2),
  // Disk images and the local stand-in for Azure
  IMAGE_NOT_FOUND: entry('There is no such disk image', 'Check the path.', 404, 3),
  IMAGE_UNREADABLE: entry('The disk image cannot be opened', 'Give the user that runs this read permission on the file or the block device.', 403),
  IMAGE_NOT_A_DISK: entry('This is not a disk image', 'Give a raw image or block device whose size is a multiple of 512 bytes, or a VHD; unpack archives first.', 400, 2),
  IMAGE_FORMAT_UNSUPPORTED: entry('This disk image format is not supported', 'Convert it to a raw image: `qemu-img convert -O raw SOURCE TARGET.img` (merge a differencing disk into its parent first).', 400, 2),
  IMAGE_VHD_BROKEN: entry('The VHD is damaged', 'Copy it again from where it came from, or have `qemu-img check` look at it; if it is really a raw image, rename it to .img.', 400, 4),
  SOURCE_SHRANK: entry('The source became shorter while it was read', 'Stop what writes to it, then run it again.', 409),
  SOURCE_UNREADABLE: entry('The source could not be read', 'Look for failing hardware in the system log; the message says where in the source.', 500),
  STANDIN_PORT_IN_USE: entry('The port is taken', 'Stop the other program, or choose another port with --port.', 409),
  STANDIN_FOLDER: entry('The folder of disk images cannot be used', 'Give an existing folder that holds one folder for each machine, with its disk images in it.', 400, 2),
  STANDIN_STATE_IN_USE: entry('Another stand-in uses this state folder', 'Stop the other one, or choose another folder with --state; if none runs, delete the lock file that the message names.', 409, 6),
  STANDIN_STATE_BROKEN: entry('The saved state of the stand-in cannot be read', 'Choose another folder with --state; the disk images are untouched, only the snapshots in the old folder are lost.', 500, 4),
  // The connection to the cloud
  CLOUD_ID_INVALID: entry('A resource id is not one that Holdfast understands', 'Give the full resource id as Azure shows it, beginning with /subscriptions/.', 400, 2),
  CLOUD_SETTING_INVALID: entry('A setting of the connection to Azure is not valid', 'Correct the setting that the message names and start again.', 500, 2),
  CLOUD_SNAPSHOT_CHANGED: entry('A snapshot changed while it was being read', 'Nothing was committed; the next run takes a new snapshot. If it happens again, look for something that writes to the snapshots of the backup.', 502),
  // The embedded host: the app on one machine
  HOST_STATE_LOCKED: entry('Another Holdfast host is using this state folder', 'Stop the other one, or give this one a folder of its own with `--state`.', 409, 6),
  HOST_STATE_INVALID: entry('The state of the host cannot be read', 'Use the version that wrote it, or move the folder away: backups in the vault are untouched, and running jobs start again.', 500, 4),
  HOST_APP_INVALID: entry('The app cannot run in the embedded host', 'Change what the message names; the embedded host runs HTTP, timer, activity and orchestration functions.', 500, 2),
  HOST_NO_SUCH_INSTANCE: entry('There is no orchestration instance of this id', 'Check the id; it may have been purged.', 404, 3),
  HOST_INSTANCE_EXISTS: entry('An orchestration instance of this id is still running', 'Wait for it to end, terminate it, or use another id.', 409, 6),
  HOST_STOPPED: entry('The host is not running', 'Start it before using it.', 503),
  CORE_TOOLS_MISSING: entry('Azure Functions Core Tools are not there', 'Install them (`npm install --global azure-functions-core-tools@4`, or a package of your system), or use `npm start`, which runs the same app without them.', 500, 2),
  PORT_IN_USE: entry('The port is taken by another program', 'Stop the other program, or choose another port with `--port`.', 409, 6),
  // The command line
  APP_UNREACHABLE: entry('The app cannot be reached', 'Check the address and that the app runs (`npm start` on one machine).', 503),
  USAGE: entry('The command line is not understood', '`holdfast help` lists the commands, `holdfast help COMMAND` how one is used.', 400, 2),
  VAULT_NOT_NAMED: entry('No vault was named', 'Give --vault ADDRESS or set HOLDFAST_VAULT: a folder, or the address of a blob container.', 400, 2),
  KEY_EXISTS: entry('There is a file where the new key was to go', 'Name another place with --key; a file that may be another vault\'s key is never overwritten.', 409, 2),
  KEY_IN_VAULT: entry('The key would lie in the vault that it opens', 'Name a place outside the vault with --key: who finds the vault must not find its key with it.', 400, 2),
  KEY_NOT_WRITTEN: entry('The key file cannot be written', 'Name a place with --key where you may write; without a safe key no vault was made.', 500),
  TARGET_NO_SPACE: entry('There is not enough room for the target', 'Free space or choose a place on another disk; nothing was written.', 507),
  HISTORY_BROKEN: entry('The history of an item does not fit together', 'A record was removed, replaced or brought back from elsewhere. Find out who changed the vault; recovery points without a finding of their own can be restored.', 500, 4),
  AUDIT_BROKEN: entry('The audit trail does not hold together', 'Records were changed, exchanged, taken out or cut off. Keep the vault as it is, find out who could write to its storage (the storage account\'s own logs name them), and compare with the anchors in the app\'s log: docs/security-model.md.', 500, 4),
  AUDIT_NOT_WRITTEN: entry('It could not be recorded in the audit trail, so it was not done', 'The message says what kept the record from being written: put that right (space, rights, network), then repeat it.', 503),
  APPROVAL_NOT_FOUND: entry('There is no such approval', 'GET /api/approvals lists them.', 404, 3),
  APPROVAL_OWN: entry('This takes somebody else', 'Who asked for something may cancel it; to agree to it, or to reject it, takes another person with the role Admin.', 403),
  APPROVAL_ENDED: entry('The approval is over', 'It was carried out, rejected, cancelled or has expired, as the message says. Ask for it again if it is still wanted.', 409),
  APPROVAL_STALE: entry('What was to be approved has changed meanwhile', 'Nothing was done. Look at how things are now, and ask for it again if it is still wanted.', 409),
  APPROVALS_FULL: entry('Too many approvals wait already', 'Have the waiting ones looked at (GET /api/approvals), or cancelled.', 429),
  APPROVAL_RULES_CHANGED: entry('The rules of approvals were changed by someone else meanwhile', 'Read them again and apply your change to what they are now.', 412),
  APPROVAL_RULES_INVALID: entry('The rules of approvals cannot be read', 'What they guard is refused until they can. Somebody with the key and the storage puts a right revision into approval-rules/: docs/security-model.md.', 500, 4),
  TOO_MANY_REFUSALS: entry('The same was refused too often', 'Find out why it is refused: the audit trail has the first refusals with their codes. After ten minutes it is looked at again.', 429),
  // The home on one machine
  HOME_STATE_UNUSABLE: entry('The state folder cannot be used', 'Choose a folder where you may write with `--state`.', 500),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(catalogue, code);

/** Where the documentation explains a code: a page of this repository, with its anchor. */
export const helpPage = (code: ErrorCode): string => `docs/troubleshooting.md#${code.toLowerCase()}`;
