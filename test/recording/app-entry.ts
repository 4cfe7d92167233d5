/** What a real host loads to record the app's own orchestrations: the app as it is, and the writing down. */
import '../../functions/register';
import { RECORDING_SETTING, recordInvocations } from './invocations';

recordInvocations(process.env[RECORDING_SETTING] ?? '');
