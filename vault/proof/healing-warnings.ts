import type { TransferStats } from '../transfer/transfer-types';

/** What a recovery point says about damage of the one before it, which its backup healed. */
export function healingWarnings(disk: string, { healedWindows }: Pick<TransferStats, 'healedWindows'>, treeWasDamaged: boolean): string[] {
  const parts = `${healedWindows} ${healedWindows === 1 ? 'part' : 'parts'} of 64 MiB of disk ${disk}`;
  return [
    ...(treeWasDamaged ? [`The tree of disk ${disk} was damaged in the recovery point before; the disk was read whole and stored with a tree of its own`] : []),
    ...(healedWindows > 0 ? [`${parts} needed damaged packs of the vault; they were read from the source and stored anew. Recovery points before this one stay damaged: see \`holdfast check\``] : []),
  ];
}
