import type { JSX } from 'preact';
import { Head } from '../parts/basics';
export function PolicyEditor({ name }: { name: string | null; query: URLSearchParams }): JSX.Element { return <Head title={name ?? 'New policy'} />; }
