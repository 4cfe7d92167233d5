import type { JSX } from 'preact';
import { Head } from '../parts/basics';
export function VaultView(): JSX.Element { return <Head title="Vault" />; }
