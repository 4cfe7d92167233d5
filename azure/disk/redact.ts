export { redact } from '../../errors/redact';
