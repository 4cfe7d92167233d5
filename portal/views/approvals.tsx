import type { JSX } from 'preact';
import { Empty, Head } from '../parts/basics';

export function Approvals(): JSX.Element {
  return <><Head title="Approvals" /><Empty title="Not there yet" /></>;
}
