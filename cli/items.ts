import { listItems } from '../vault/catalog';
import { appNamed } from './app-client';
import { itemsOfApp } from './app-vault';
import type { CommonOptions } from './command-options';
import { withVault } from './open-vault';
import type { Output } from './output';
import { showBytes, table } from './sizes';

/** Lists the items that have recovery points. 4 when one of them cannot be read. */
export async function runItems(options: CommonOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const items = app ? await itemsOfApp(app) : await withVault(options, 'read', ({ vault }) => listItems(vault));
  const value = items.map(({ itemId, ...rest }) => ({ id: itemId, ...rest }));
  out.answer(value, () => (items.length === 0 ? ['The vault has no recovery point yet.'] : table([
    ['ITEM', 'POINTS', 'LATEST', 'CONSISTENCY', 'SIZE', 'PROVED'],
    ...items.map(({ itemId, recoveryPoints, latest, proved }) => [
      itemId, String(recoveryPoints), latest?.createdAt ?? '-', latest?.consistency ?? '-', latest ? showBytes(latest.sizeBytes) : '-', proved ? `${proved.ok ? '' : 'DAMAGED '}${proved.at}` : 'never',
    ]),
  ])));
  const damaged = items.reduce((sum, item) => sum + item.damaged, 0);
  if (damaged > 0) out.warn(`${damaged} recovery points cannot be read; \`holdfast list\` names them`);
  return damaged > 0 ? 4 : 0;
}
