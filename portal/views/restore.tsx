import type { JSX } from 'preact';
import { Head } from '../parts/basics';
export function Restore({ point }: { point: string }): JSX.Element { return <Head title={`Restore ${point}`} />; }
