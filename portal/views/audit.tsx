import type { JSX } from 'preact';
import { Empty, Head } from '../parts/basics';

export function Audit(): JSX.Element {
  return <><Head title="Audit" /><Empty title="Not there yet" /></>;
}
