import { sweepRoutes } from './housekeeping';
import { costRoutes } from './http-cost';
import { itemRoutes } from './http-items';
import { jobRoutes } from './http-jobs';
import { maintenanceRoutes } from './http-maintenance';
import { markRoutes } from './http-marks';
import { policyRoutes } from './http-policies';
import { recoveryPointRoutes } from './http-recovery-points';
import { restoreRoutes } from './http-restores';
import { retentionRoutes } from './http-retention';
import type { Route } from './route';
import { scrubRoutes } from './scrubs';

/** The HTTP API: every route that there is. */
export const routes: readonly Route[] = [
  ...itemRoutes, ...recoveryPointRoutes, ...markRoutes, ...retentionRoutes, ...restoreRoutes, ...jobRoutes, ...policyRoutes, ...costRoutes, ...scrubRoutes, ...maintenanceRoutes, ...sweepRoutes,
];
