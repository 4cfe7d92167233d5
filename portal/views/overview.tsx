import type { JSX } from 'preact';
import { Head } from '../parts/basics';
export function Overview(): JSX.Element { return <Head title="Overview" />; }
