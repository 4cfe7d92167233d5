import type { JSX } from 'preact';
import { Empty, Head } from '../parts/basics';

export function Servers(): JSX.Element {
  return (
    <>
      <Head title="Servers" kicker="Machines outside Azure" />
      <Empty title="No server is registered"><p>Holdfast backs up virtual machines of Azure today. Disk images of other machines go into the same vault by the command line: <code>holdfast backup IMAGE --item NAME</code>; they are then listed under Items.</p></Empty>
    </>
  );
}
