import { HoldfastError } from '../../errors/holdfast-error';
import type { ByteRange } from './store';

/** The answer of every store for an object that is definitely not there. */
export function objectNotFound(description: string, name: string, cause?: unknown): HoldfastError {
  return new HoldfastError('STORE_OBJECT_NOT_FOUND', `${name} is not in ${description}`, { data: { name }, cause });
}

/** The answer of every store for a range that reaches past the end of its object. */
export function rangePastEnd(description: string, name: string, range: ByteRange, sizeBytes: number): HoldfastError {
  return new HoldfastError(
    'STORE_RANGE',
    `${name} in ${description} has ${sizeBytes} bytes; bytes ${range.offset} to ${range.offset + range.length} were asked for`,
    { data: { name, offset: range.offset, length: range.length, sizeBytes } },
  );
}

/** The answer of every store for a delete that a WORM policy does not allow yet. `untilMs` is null where that is not known. */
export function objectHeld(description: string, name: string, untilMs: number | null, cause?: unknown): HoldfastError {
  const until = untilMs === null ? 'by a WORM policy' : `by a WORM policy until ${new Date(untilMs).toISOString()}`;
  return new HoldfastError('STORE_IMMUTABLE', `${name} in ${description} is held against deletion ${until}`, { data: { name, untilMs }, cause });
}
