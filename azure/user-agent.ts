import type { Duty } from '../activities/deps';

/** How requests to Azure name the app, and the duty that they are made for: the logs of a storage account then say which part of it asked. */
export const userAgentOf = (duty: Duty | undefined): string => (duty === undefined ? 'holdfast' : `holdfast-${duty}`);
