import type { Command } from 'commander';
import type { CommonOptions } from './command-options';
import type { Output } from './output';

/** Runs the work of a command with its options and the global ones. */
export type Run = <T extends CommonOptions>(command: Command, work: (options: T, out: Output) => Promise<number>) => Promise<void>;
