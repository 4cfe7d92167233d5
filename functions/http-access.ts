import { z } from 'zod';
import { ROLES } from '../access/roles';
import { json } from './problem';
import { route, type Route } from './route';

const callerSchema = z.strictObject({ id: z.string(), name: z.string(), kind: z.enum(['user', 'app', 'local']), roles: z.array(z.enum(ROLES)) });

const getCaller = route({
  id: 'getCaller', method: 'GET', path: 'me', role: 'Reader', responses: { 200: callerSchema }, summary: 'Who is calling, and with which roles',
  handler: ({ caller: { id, name, kind, roles } }) => Promise.resolve(json({ id, name, kind, roles: [...roles] } satisfies z.output<typeof callerSchema>)),
});

export const accessRoutes: readonly Route[] = [getCaller];
