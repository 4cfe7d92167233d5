import { type AppliedRetention, covering, executeRetention, type ItemRetentionPlan, planRetention, type PoliciesInForce, policiesInForce, withDocument } from '../activities/retention';
import { HoldfastError } from '../errors/holdfast-error';
import { isPolicyName, type PolicyDocument } from '../policy/schema';
import type { Keep } from '../policy/retention-plan';
import { itemIdOf, itemsInVault, listRecoveryPoints, requireItem } from '../vault/catalog';
import type { VaultAccess } from '../vault/format/tree';
import { type AppClient, appNamed } from './app-client';
import { previewOfApp, retainByApp, retentionItems, retentionPlanOfApp } from './app-vault';
import { askedPolicy, policyInFile } from './asked-policy';
import type { CommonOptions } from './command-options';
import { deciderHere } from './decider';
import { withVault } from './open-vault';
import type { Output } from './output';
import { table } from './sizes';
import { recordedChange } from './trail-entry';

export interface RetentionOptions extends CommonOptions {
  readonly item?: string;
  readonly policy?: string;
  readonly preview?: boolean;
  readonly dryRun?: boolean;
  readonly approve?: string;
}

/** Shows what retention keeps and why (--preview, --dry-run), or puts into the bin what nothing keeps. 1 when it was refused for an item. */
export function runRetention(options: RetentionOptions, out: Output): Promise<number> {
  if (options.preview === true || options.dryRun === true) return preview(options, out);
  return apply(options, out);
}

async function preview(options: RetentionOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const plans = app ? await plansOfApp(app, options) : await withVault(options, 'read', async ({ vault }) => {
    const all: ItemRetentionPlan[] = [];
    for await (const plan of plansOf(vault, options, await vault.store.serverTimeMs(), out)) all.push(plan);
    return all;
  });
  out.answer(plans, () => (plans.length === 0 ? ['There is nothing that retention speaks for.'] : plans.flatMap(planLines)));
  return 0;
}

async function apply(options: RetentionOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const done = app ? await applyByApp(app, options) : await withVault(options, 'write', async ({ vault }) => {
    const { item, policy, approve } = options;
    return recordedChange(vault, { action: 'retention.apply', target: item ?? null, details: { policy: policy ?? null, approve: approve ?? null } }, out, async () => {
      const decider = await deciderHere(vault);
      const results: AppliedRetention[] = [];
      for await (const plan of plansOf(vault, options, decider.serverNowMs, out)) results.push(await executeRetention(vault, plan, decider, approve ?? null));
      return results;
    }, (results) => ({ items: results.length, binned: results.reduce((sum, { binned }) => sum + binned.length, 0), refused: results.filter(({ refused }) => refused !== null).length }));
  });
  out.result(done, () => done.map(({ itemId, kept, binned, stayed }) => `${itemId}: ${binned.length} into the bin, ${kept} kept${stayed.length > 0 ? `, ${stayed.length} of them although no rule keeps them` : ''}`));
  for (const { id, error } of done.flatMap(({ stayed }) => stayed)) out.warn(`${id} stayed: ${error.message}`);
  for (const { refused } of done) if (refused) out.warn(refused.message, refused.remedy);
  return done.some(({ refused }) => refused !== null) ? 1 : 0;
}

/** A policy that an app has by its name, or the document in a file. */
async function policyForApp(app: AppClient, asked: string): Promise<{ readonly name: string; readonly file: PolicyDocument | null }> {
  const known = isPolicyName(asked) && (await app.all<{ name: string }>('/api/policies')).some(({ name }) => name === asked);
  const file = known ? null : await policyInFile(asked);
  return { name: file?.name ?? asked, file };
}

async function plansOfApp(app: AppClient, options: RetentionOptions): Promise<ItemRetentionPlan[]> {
  const policy = options.policy === undefined ? null : await policyForApp(app, options.policy);
  const plans: ItemRetentionPlan[] = [];
  for (const itemId of await retentionItems(app, options.item, policy?.file ? undefined : policy?.name)) plans.push(await (policy?.file ? previewOfApp(app, itemId, policy.file) : retentionPlanOfApp(app, itemId)));
  return plans;
}

async function applyByApp(app: AppClient, options: RetentionOptions): Promise<AppliedRetention[]> {
  const policy = options.policy === undefined ? null : await policyForApp(app, options.policy);
  if (policy?.file) throw new HoldfastError('USAGE', 'An app applies the policies that it has, and none in a file: preview it with --preview, or store it with `holdfast policy put`');
  const done: AppliedRetention[] = [];
  for (const itemId of await retentionItems(app, options.item, policy?.name)) done.push(await retainByApp(app, itemId, options.approve));
  return done;
}

/** Item by item: the plans of a large vault are never held together unless they are shown. */
async function* plansOf(vault: VaultAccess, options: RetentionOptions, nowMs: number, out: Output): AsyncGenerator<ItemRetentionPlan> {
  const inForce = await policiesInForce(vault, nowMs, (name, error) => out.warn(`the policy ${name} cannot be read, so it lets nothing go: ${error.message}`));
  const item = options.item === undefined ? undefined : await itemIdOf(vault, options.item);
  if (item !== undefined) await requireItem(vault, item);
  const asked = options.policy === undefined ? undefined : await askedPolicy(vault, options.policy);
  // A file's rules are of no policy that the items know, so what they count for is said with --item.
  if (asked?.isFile && item === undefined && options.preview !== true && options.dryRun !== true) throw new HoldfastError('USAGE', 'A policy in a file is applied to one item: name it with --item');
  const policies: PoliciesInForce = asked?.isFile ? covering(withDocument(inForce, asked.document), asked.document.name) : inForce;
  for (const itemId of item === undefined ? await itemsInVault(vault) : [item]) {
    if (asked && !asked.isFile && !(await listRecoveryPoints(vault, itemId)).points.some(({ manifest }) => manifest.policy === asked.document.name)) continue;
    yield await planRetention(vault, itemId, policies, nowMs);
  }
}

function planLines({ itemId, points, goes, refused }: ItemRetentionPlan): string[] {
  return [
    `${itemId}: ${points.length - goes.length} stay, ${goes.length} ${goes.length === 1 ? 'goes' : 'go'} into the bin`,
    ...table(points.map(({ id, keeps, atLeastUntilAt }) => [`  ${id}`, keeps.length === 0 ? 'GOES' : 'stays', atLeastUntilAt === null ? '' : `until ${atLeastUntilAt} at least`, keeps.map(keepText).join('; ')])),
    ...(refused ? [`  ${refused.message}`] : []),
  ];
}

const keepText = ({ rule, policy, period, until }: Keep): string => `${policy === null ? '' : `${policy} `}${rule}${period === null ? '' : ` (${period})`}, until ${until}`;
