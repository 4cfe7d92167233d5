import type { z } from 'zod';
import { MAX_FIELDS_REPORTED } from './limits';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const MAX_SHOWN_CHARS = 80;
/** A pasted access URL or key must not come back in a message. */
const SECRET_LIKE = /sig=|accountkey|sharedaccess|password|secret|bearer /i;

/** One line for each wrong field, `schedule.daily.at[0]: what is wrong; received "25:00"`, in the document's order. */
export function describeIssues(issues: readonly Issue[], document: unknown): string[] {
  const lines = [...new Set(issues.flatMap((issue) => describe(issue, document)))];
  if (lines.length <= MAX_FIELDS_REPORTED) return lines;
  return [...lines.slice(0, MAX_FIELDS_REPORTED), `(document): ${lines.length - MAX_FIELDS_REPORTED} more wrong fields`];
}

/** One line for one field, with the value that was received. */
export function describeField(path: Path, problem: string, received?: unknown): string {
  return `${formatPath(path)}: ${problem}${received === undefined ? '' : `; received ${showValue(received)}`}`;
}

/** `schedule.daily.at[0]`, `items.tags["cost center"]`, or `(document)` for the whole. */
export function formatPath(path: Path): string {
  const text = path.map((part, index) => {
    if (typeof part === 'number') return `[${part}]`;
    const key = String(part);
    return /^[A-Za-z_$][\w$]{0,59}$/.test(key) ? `${index === 0 ? '' : '.'}${key}` : `[${showValue(key)}]`;
  }).join('');
  return text === '' ? '(document)' : text;
}

/** A received value as JSON, cut when it is long, hidden when it looks like a secret. */
export function showValue(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  if (SECRET_LIKE.test(json)) return '(hidden: it looks like a secret)';
  return json.length > MAX_SHOWN_CHARS ? `${json.slice(0, MAX_SHOWN_CHARS)}…` : json;
}

function describe(issue: Issue, document: unknown): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => describeField([...issue.path, key], 'no such field', valueAt(document, [...issue.path, key])));
  }
  const received = valueAt(document, issue.path);
  if (issue.code === 'invalid_key') {
    return [describeField(issue.path, `the key is not allowed: ${issue.issues.map((inner) => plain(inner.message)).join(', ')}`)];
  }
  if (received === undefined) return [`${formatPath(issue.path)}: missing; ${plain(issue.message)}`];
  return [describeField(issue.path, plain(issue.message), received)];
}

/** The library's message without its own prefix and without the received type: the value itself is shown. */
function plain(message: string): string {
  return message.replace(/^Invalid (?:input|option): /, '').replace(/, received \w+$/, '').replace(/"\|"/g, '", "');
}

function valueAt(document: unknown, path: Path): unknown {
  let value = document;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return value;
}
