import { z } from 'zod';

// The library answers with the complaint of the nearest choice of a union, so every choice carries the same words.
const error = 'expected a day from 1 to 31 or "last"';

/** A day of the month: 1 to 31, or its last. */
export const dayOfMonthSchema = z.union([z.int({ error }).min(1, { error }).max(31, { error }), z.literal('last')], { error });
