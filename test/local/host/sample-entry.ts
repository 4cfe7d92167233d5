/** An app's main file, for the test that loads one: it counts the calls since it was loaded. */
import { app } from '@azure/functions';

let calls = 0;
app.http('calls', { methods: ['GET'], handler: () => ({ body: String(++calls) }) });
