import { createServer } from 'node:net';
import { HoldfastError, messageOf } from '../errors/holdfast-error';

/**
 * Keeps a second app on this machine off the same vault. The lock is a socket in Linux's abstract namespace, named by the vault's id: the
 * kernel gives it up with the process, however that ends, so there is never a stale one. Apps on other machines are kept apart item by item, by
 * the vault's run records. Returns the function that gives the lock up. Throws VAULT_IN_USE.
 */
export async function lockVault(vaultId: Buffer): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cause.code === 'EADDRINUSE'
      ? new HoldfastError('VAULT_IN_USE', `Another Holdfast on this machine works on the vault ${vaultId.toString('hex')}`, { cause })
      : new HoldfastError('INTERNAL', `The vault cannot be locked: ${messageOf(cause)}`, { cause })));
    server.listen(`\0holdfast-vault-${vaultId.toString('hex')}`, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => { server.close(() => resolve()); });
}
