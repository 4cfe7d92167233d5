import { createCloud, type CloudSettings } from '../../azure/compute/cloud';
import type { Cloud } from '../../activities/cloud';
import { recordedWaiting, startWireServer, type WireAnswer, type WireRequest, type WireServer } from '../support/wire-server';

export const subscription = '11111111-2222-3333-4444-555555555555';
export const group = `/subscriptions/${subscription}/resourceGroups/rg-app`;
export const compute = `${group}/providers/Microsoft.Compute`;

type Answer = WireAnswer | ((request: WireRequest) => WireAnswer | Promise<WireAnswer>);

export interface ArmScript {
  readonly server: WireServer;
  readonly cloud: Cloud;
  readonly pausesMs: number[];
  readonly lines: string[];
  /** Answers of "METHOD path" without the query, in turn; the last one stays. Anything unscripted is 404. */
  on(methodAndPath: string, ...answers: Answer[]): void;
  close(): Promise<void>;
}

/** A Resource Manager that says what the test scripts, and a Cloud that talks to it through the genuine SDK. */
export async function startArm(settings: Partial<CloudSettings> = {}): Promise<ArmScript> {
  const script = new Map<string, Answer[]>();
  const server = await startWireServer((request) => {
    const answers = script.get(`${request.method} ${request.path}`.toLowerCase());
    const answer = answers !== undefined && answers.length > 1 ? answers.shift() : answers?.[0];
    if (answer === undefined) return refusal(404, 'ResourceNotFound', `The Resource '${request.path}' was not found.`);
    return typeof answer === 'function' ? answer(request) : answer;
  });
  const waiting = recordedWaiting();
  const lines: string[] = [];
  const cloud = createCloud({
    subscriptionIds: [subscription],
    armEndpoint: server.url,
    credential: { getToken: () => Promise.reject(new Error('no token is asked for over http')) },
    waiting,
    log: (line) => lines.push(line),
    ...settings,
  });
  return {
    server,
    cloud,
    pausesMs: waiting.pausesMs,
    lines,
    on: (methodAndPath, ...answers) => void script.set(methodAndPath.toLowerCase(), answers),
    close: () => server.close(),
  };
}

export function refusal(status: number, code: string, message = 'No.', headers: Readonly<Record<string, string>> = {}): WireAnswer {
  return { status, headers, body: { error: { code, message } } };
}

export const ok = (body: object, headers: Readonly<Record<string, string>> = {}): WireAnswer => ({ status: 200, headers, body });
