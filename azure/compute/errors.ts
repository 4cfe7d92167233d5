import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import { retryAfterMs } from '../disk/backoff';
import { redact } from '../../errors/redact';
import { snapshotFailureCode } from './snapshot-failures';

/** What is known of a failure, whatever shape the SDK gave it. */
interface Failure {
  readonly httpStatus: number;
  readonly serviceCode: string;
  readonly message: string;
  readonly networkCode: string;
  readonly requestId: string;
  readonly retryAfter: string | undefined;
}

/** No code is documented for "too many open at once", so the text decides: a limit and an access signature in one sentence. */
const limitOfAccess = /\b(too many|more than|exceed\w*|maximum|at most|limit\w*)\b.*\b(sas|shared access|access ur[il]s?)|\b(sas|shared access|access ur[il]s?)\b.*\b(limit\w*|exceed\w*|maximum|at most|more than|too many)\b/i;
/** Some errors of the sign-in service run over pages; durable history keeps every message. */
const mostMessageChars = 2000;
const quotaCode = /quota|limitexceeded|maxstorageaccounts|exceedslimit/i;
const throttleCode = /toomanyrequests|throttl|ratelimit|serverbusy|subscriptionrequests|operationpreemptedbymoreurgent/i;
const notFoundCode = /^(resource|parentresource|resourcegroup|subscription)?notfound$/i;
/** Sizes that a region or zone does not offer to this subscription, or has no room for just now (Azure's pages on allocation failures and SKU errors). */
const skuCode = /^(skunotavailable|(zonal)?allocationfailed|overconstrained(zonal)?allocationrequest|availabilityzonenotsupported|invalidresourcelocation|locationnotavailableforresourcetype)$/i;
/** A disk that another machine has, or whose upload holds no VHD. */
const stateCode = /^(conflictinguserinput|invalidvhd)$/i;
const conflictCode = /^(conflict|diskrestorepointusedbycustomer|anotheroperationinprogress|resourcebeingdeleted|operationnotallowedonbusyresource|attachdiskwhilebeingdetached|.*inprogress)$/i;
const deniedCode = /^(authorizationfailed|authenticationfailed|linkedauthorizationfailed|invalidauthenticationtoken.*|requestdisallowedbypolicy|expiredauthenticationtoken|forbidden)$/i;
/** What Node and undici call a connection that failed; the SDK adds its own two, and a time-out is an AbortError. */
const networkCode = /^(E(CONN(RESET|REFUSED|ABORTED)|TIMEDOUT|PIPE|HOST(UNREACH|DOWN)|NET(UNREACH|DOWN)|AI_AGAIN|PROTO)|ENOTFOUND|REQUEST_SEND_ERROR|PARSE_ERROR|CERT_.*|.*_SIGNED_CERT.*|UNABLE_TO_.*|ERR_TLS_.*|HPE_.*|UND_ERR_.*|ABORTED)$/;

/**
 * The one place where failures of the control plane become HoldfastErrors. It takes a RestError, the plain Error of a
 * failed long-running operation (whose code is only in its text), a credential's error, or anything else.
 * The SDK's error is not kept as the cause: it holds request and response, and those may hold an access URL.
 */
export function cloudError(error: unknown, doing: string): HoldfastError {
  if (isHoldfastError(error)) return error;
  const failure = describe(error);
  const code = codeOf(failure, error);
  const named = failure.serviceCode === '' ? '' : ` (${failure.serviceCode})`;
  const waitMs = retryAfterMs(failure.retryAfter, Date.now());
  return new HoldfastError(code, redact(`Azure refused ${doing}${named}: ${failure.message}`).slice(0, mostMessageChars), {
    data: {
      serviceCode: failure.serviceCode,
      httpStatus: failure.httpStatus,
      ...(failure.networkCode === '' ? {} : { networkCode: failure.networkCode }),
      ...(failure.requestId === '' ? {} : { requestId: failure.requestId }),
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    },
  });
}

function codeOf(failure: Failure, error: unknown): ErrorCode {
  const { httpStatus, serviceCode, message } = failure;
  // Before the statuses: the sign-in service has its own, which say nothing about the resource.
  if (isCredentialError(error)) return 'CLOUD_ACCESS_DENIED';
  const ofSnapshot = snapshotFailureCode(serviceCode, message);
  if (ofSnapshot !== undefined) return ofSnapshot;
  if (limitOfAccess.test(message) && (httpStatus === 0 || httpStatus === 400 || httpStatus === 409)) return 'CLOUD_ACCESS_LIMIT';
  if (httpStatus === 429 || throttleCode.test(serviceCode)) return 'CLOUD_THROTTLED';
  if (quotaCode.test(serviceCode) || (/^operationnotallowed$/i.test(serviceCode) && /quota|limit/i.test(message))) return 'CLOUD_QUOTA';
  if (skuCode.test(serviceCode)) return 'CLOUD_SKU_UNAVAILABLE';
  if (stateCode.test(serviceCode)) return 'CLOUD_STATE_WRONG';
  if (httpStatus === 404 || notFoundCode.test(serviceCode)) return 'CLOUD_NOT_FOUND';
  if (httpStatus === 401 || httpStatus === 403 || deniedCode.test(serviceCode)) return 'CLOUD_ACCESS_DENIED';
  if (httpStatus === 409 || httpStatus === 412 || conflictCode.test(serviceCode)) return 'CLOUD_CONFLICT';
  if (httpStatus === 503) return 'CLOUD_THROTTLED';
  if (httpStatus === 0 && failure.networkCode !== '') return 'CLOUD_UNREACHABLE';
  return 'CLOUD_FAILED';
}

function describe(error: unknown): Failure {
  const fields = typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : {};
  const httpStatus = typeof fields['statusCode'] === 'number' ? fields['statusCode'] : 0;
  const code = typeof fields['code'] === 'string' ? fields['code'] : '';
  const message = messageOf(error);
  const operation = /^The long-running operation has failed\. ([A-Za-z][\w./-]*)\. ([\s\S]*)$/.exec(message);
  const isNetwork = httpStatus === 0 && (networkCode.test(code) || fields['name'] === 'AbortError');
  return {
    httpStatus,
    serviceCode: operation?.[1] ?? (isNetwork ? '' : code),
    message: operation?.[2] ?? message,
    networkCode: isNetwork ? code || 'ABORTED' : '',
    requestId: headerOf(fields, 'x-ms-request-id') ?? headerOf(fields, 'x-ms-correlation-request-id') ?? '',
    retryAfter: headerOf(fields, 'retry-after'),
  };
}

function headerOf(fields: Record<string, unknown>, name: string): string | undefined {
  const response = fields['response'] as { headers?: { get?: (name: string) => string | undefined } } | undefined;
  return response?.headers?.get?.(name);
}

/** @azure/identity names its errors so; the classes are not imported because the package is slow to load. */
function isCredentialError(error: unknown): boolean {
  return error instanceof Error && ['CredentialUnavailableError', 'AuthenticationError', 'AggregateAuthenticationError', 'AuthenticationRequiredError', 'CredentialUnavailable'].includes(error.name);
}

/**
 * True when it is not known whether the request had an effect: no answer, or an answer that says only that something
 * broke. The caller then reads back by name. A refusal (4xx) is known to have had none.
 */
export function isUnknownOutcome(error: unknown): boolean {
  if (isHoldfastError(error)) return false;
  // Without a token nothing was sent.
  if (isCredentialError(error)) return false;
  const { httpStatus } = describe(error);
  // A plain error after the request was sent, such as an answer that does not parse, says nothing about the effect.
  return httpStatus === 0 || httpStatus === 408 || httpStatus >= 500 || httpStatus < 400;
}

export function statusOf(error: unknown): number {
  return describe(error).httpStatus;
}
