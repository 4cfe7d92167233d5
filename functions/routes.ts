import { sweepRoutes } from './housekeeping';
import { accessRoutes } from './http-access';
import { approvalRoutes } from './http-approvals';
import { auditRoutes } from './http-audit';
import { costRoutes } from './http-cost';
import { exportRoutes } from './http-exports';
import { fleetRoutes } from './http-fleet';
import { itemRoutes } from './http-items';
import { jobRoutes } from './http-jobs';
import { keyRoutes } from './http-keys';
import { maintenanceRoutes } from './http-maintenance';
import { manifestRoutes } from './http-manifest';
import { markRoutes } from './http-marks';
import { notificationRoutes } from './http-notifications';
import { policyRoutes } from './http-policies';
import { protectionRoutes } from './http-protection';
import { recoveryPointRoutes } from './http-recovery-points';
import { restoreRoutes } from './http-restores';
import { retentionRoutes } from './http-retention';
import { openApiDocument } from './openapi';
import { aboutRoutes } from './http-about';
import type { Route } from './route';
import { scrubRoutes } from './scrubs';

/** What people and programs do with backups. */
const described: readonly Route[] = [
  ...fleetRoutes, ...itemRoutes, ...recoveryPointRoutes, ...markRoutes, ...retentionRoutes, ...restoreRoutes, ...exportRoutes, ...jobRoutes, ...policyRoutes, ...protectionRoutes, ...costRoutes, ...notificationRoutes,
  ...scrubRoutes, ...maintenanceRoutes, ...keyRoutes, ...sweepRoutes, ...auditRoutes, ...accessRoutes, ...manifestRoutes, ...approvalRoutes,
];

/** The HTTP API: every route that there is. */
export const routes: readonly Route[] = [...described, ...aboutRoutes(() => openApiDocument(routes))];
