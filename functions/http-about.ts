import { z } from 'zod';
import { catalogue, type ErrorCode, helpPage, isErrorCode } from '../errors/catalogue';
import { HoldfastError } from '../errors/holdfast-error';
import { json } from './problem';
import { pathId, type Route, route } from './route';
import { errorCode } from './schemas/common';

const errorPage = z.strictObject({ code: errorCode, title: z.string(), remedy: z.string(), status: z.int(), exitCode: z.int(), help: z.string() }).meta({ id: 'ErrorPage' });

const pageOf = (code: ErrorCode): z.output<typeof errorPage> => ({ code, ...catalogue[code], help: helpPage(code) });

const getError = route({
  id: 'getError', method: 'GET', path: 'errors/{code}', role: 'public', params: z.strictObject({ code: pathId }), responses: { 200: errorPage },
  summary: 'What an error means and what to do about it: the address that is the type of problem details',
  handler({ params: { code } }) {
    if (!isErrorCode(code)) throw new HoldfastError('ERROR_UNKNOWN', `There is no error ${JSON.stringify(code.slice(0, 80))}`);
    return Promise.resolve(json(pageOf(code)));
  },
});

const listErrors = route({
  id: 'listErrors', method: 'GET', path: 'errors', role: 'public', responses: { 200: z.strictObject({ value: z.array(errorPage), nextLink: z.null() }).meta({ id: 'ErrorList' }) },
  summary: 'Every error that there is',
  handler: () => Promise.resolve(json({ value: (Object.keys(catalogue) as ErrorCode[]).map(pageOf), nextLink: null })),
});

/** What the API says of itself. It knows nothing of the vault. */
export function aboutRoutes(document: () => object): readonly Route[] {
  let made: object | undefined;
  const getOpenApi = route({
    id: 'getOpenApi', method: 'GET', path: 'openapi.json', role: 'public', responses: { 200: z.record(z.string(), z.unknown()) },
    summary: 'This API as an OpenAPI 3.1 document',
    handler: () => Promise.resolve(json(made ??= document())),
  });
  return [getOpenApi, listErrors, getError];
}
