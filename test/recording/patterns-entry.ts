/** What a real host loads to record the patterns of test/fixtures/durable: the same functions, with true time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { registerRecordedApp } from '../local/host/recorded-app';
import { RECORDING_SETTING, recordInvocations } from './invocations';

recordInvocations(process.env[RECORDING_SETTING] ?? '');
registerRecordedApp({ sleep });
