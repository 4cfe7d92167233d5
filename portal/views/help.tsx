import type { JSX } from 'preact';
import { api } from '../api';
import { useLive } from '../live';
import { Card, Fact, Head, Loaded } from '../parts/basics';

interface ErrorPage { readonly code: string; readonly title: string; readonly remedy: string; readonly status: number; readonly exitCode: number; readonly help: string }

/** What an error means and what to do about it, as the app's own catalogue says. */
export function Help({ code }: { code: string }): JSX.Element {
  const page = useLive<ErrorPage>(api('errors', code), 3_600_000);
  return (
    <div class="narrow">
      <Head title={code} kicker="What an error means" />
      <Loaded live={page}>{({ title, remedy, status, exitCode, help }) => (
        <Card title={title}>
          <dl class="facts wide">
            <Fact label="What to do">{remedy}</Fact>
            <Fact label="Where it is seen">Status {status} of the HTTP API, exit code {exitCode} of the command line</Fact>
            <Fact label="In the documentation"><code>{help}</code></Fact>
          </dl>
        </Card>
      )}</Loaded>
    </div>
  );
}
