/** Addresses that the host gives out: in replies of the management API and in the durableClient binding. */

const connection = 'Storage';

export interface ManagementLinks {
  readonly id: string;
  readonly statusQueryGetUri: string;
  readonly sendEventPostUri: string;
  readonly terminatePostUri: string;
  readonly rewindPostUri: string;
  readonly purgeHistoryDeleteUri: string;
  readonly restartPostUri: string;
  readonly suspendPostUri: string;
  readonly resumePostUri: string;
}

export function managementLinks(origin: string, id: string, taskHubName: string, systemKey: string): ManagementLinks {
  const base = `${origin}/runtime/webhooks/durabletask/instances/${encodeURIComponent(id)}`;
  const tail = `taskHub=${taskHubName}&connection=${connection}&code=${systemKey}`;
  return {
    id,
    statusQueryGetUri: `${base}?${tail}`,
    sendEventPostUri: `${base}/raiseEvent/{eventName}?${tail}`,
    terminatePostUri: `${base}/terminate?reason={text}&${tail}`,
    rewindPostUri: `${base}/rewind?reason={text}&${tail}`,
    purgeHistoryDeleteUri: `${base}?${tail}`,
    restartPostUri: `${base}/restart?${tail}`,
    suspendPostUri: `${base}/suspend?reason={text}&${tail}`,
    resumePostUri: `${base}/resume?reason={text}&${tail}`,
  };
}

/** The object that a function with a durableClient input receives (observed: 21, /api/clientRaw). */
export function durableClientBinding(origin: string, rpcBaseUrl: string, taskHubName: string, systemKey: string): Record<string, unknown> {
  const create = `${origin}/runtime/webhooks/durabletask/orchestrators/{functionName}[/{instanceId}]`;
  return {
    taskHubName,
    connectionName: null,
    creationUrls: {
      createNewInstancePostUri: `${create}?code=${systemKey}`,
      createAndWaitOnNewInstancePostUri: `${create}?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&code=${systemKey}`,
    },
    managementUrls: managementLinks(origin, 'INSTANCEID', taskHubName, systemKey),
    baseUrl: `${origin}/runtime/webhooks/durabletask`,
    requiredQueryStringParameters: `code=${systemKey}`,
    rpcBaseUrl,
    httpBaseUrl: null,
    maxGrpcMessageSizeInBytes: null,
    grpcHttpClientTimeout: null,
  };
}
